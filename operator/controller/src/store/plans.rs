//! Stored plans: parts that are written once, the last one last.

use super::{StoreError, hex, owned, selector, stem};
use crate::cluster::{ClusterError, call};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use directory_sync_api::plan::{Encoding, MAX_STORED_BYTES};
use directory_sync_api::{DirectorySync, DirectorySyncPlan, DirectorySyncPlanSpec};
use directory_sync_core::gate::Judgement;
use directory_sync_core::plan::document::{PlanDocument, parts};
use directory_sync_core::rules::Rules;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The stored plans of one namespace.
#[derive(Debug, Clone)]
pub struct Plans(Api<DirectorySyncPlan>);

/// Where a plan is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPlan {
    /// What the names of its objects begin with.
    pub name: String,
    /// How many objects there are.
    pub parts: usize,
    /// Bytes, packed, before base64.
    pub bytes: usize,
}

/// All parts of one plan that were found.
struct Found {
    digest: String,
    created: Option<Time>,
    parts: Vec<DirectorySyncPlan>,
}

impl Found {
    /// Whether the last part, and with it every other, is there.
    fn is_stored(&self) -> bool {
        self.parts.first().is_some_and(|part| usize::try_from(part.spec.parts) == Ok(self.parts.len()))
    }

    fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| u64::try_from(part.spec.bytes).unwrap_or_default()).sum()
    }
}

impl Plans {
    /// Those of this namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// Keeps a judged plan. A plan that is there already is left as it is, because its name is its content. `None`: it
    /// is too large to be kept whole.
    pub async fn store(
        &self,
        sync: &DirectorySync,
        judgement: &Judgement<'_>,
        rules: &Rules,
    ) -> Result<Option<StoredPlan>, StoreError> {
        let Some(packed) = parts(judgement, rules, MAX_STORED_BYTES)? else { return Ok(None) };
        let digest = judgement.plan().digest().to_string();
        let name = format!("{}-{}", stem(&sync.name_any()), short(&digest));
        let stored = StoredPlan { name, parts: packed.len(), bytes: packed.iter().map(Vec::len).sum() };
        let count = i32::try_from(packed.len()).unwrap_or(i32::MAX);
        for (number, data) in (1..).zip(&packed) {
            let spec = DirectorySyncPlanSpec {
                sync: sync.name_any(),
                digest: digest.clone(),
                part: number,
                parts: count,
                encoding: Encoding::Gzip,
                data: BASE64_STANDARD.encode(data),
                sha256: hex(&Sha256::digest(data)),
                bytes: i64::try_from(data.len()).unwrap_or(i64::MAX),
            };
            let object = DirectorySyncPlan { metadata: owned(sync, format!("{}-{number}", stored.name)), spec };
            match call("store a plan", self.0.create(&PostParams::default(), &object)).await {
                Ok(_) => {}
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(stored))
    }

    /// A plan by its digest; `None` if it is not, or not wholly, there.
    pub async fn load(&self, sync: &str, digest: &str) -> Result<Option<PlanDocument>, StoreError> {
        let Some(plan) = self.all(sync).await?.into_iter().find(|plan| plan.digest == digest) else { return Ok(None) };
        if !plan.is_stored() {
            return Ok(None);
        }
        let mut packed = Vec::new();
        for part in &plan.parts {
            let Ok(data) = BASE64_STANDARD.decode(&part.spec.data) else { return Ok(None) };
            if hex(&Sha256::digest(&data)) != part.spec.sha256 {
                return Ok(None);
            }
            packed.extend(data);
        }
        let digest = digest.to_owned();
        PlanDocument::read(packed.as_slice()).map(Some).map_err(|source| StoreError::Plan { digest, source })
    }

    /// Deletes the oldest plans until the rest takes no more than its share, but not those in `keep` unless nothing
    /// else is left.
    pub async fn prune(&self, sync: &str, keep: &[String]) -> Result<(), StoreError> {
        let mut plans = self.all(sync).await?;
        plans.sort_by_key(|plan| (keep.contains(&plan.digest), plan.created.as_ref().map(|created| created.0)));
        let mut bytes: u64 = plans.iter().map(Found::bytes).sum();
        for plan in plans {
            if bytes <= MAX_STORED_BYTES as u64 {
                break;
            }
            bytes -= plan.bytes();
            for part in plan.parts {
                match call("delete an old plan", self.0.delete(&part.name_any(), &DeleteParams::default())).await {
                    Ok(_) => {}
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    async fn all(&self, sync: &str) -> Result<Vec<Found>, ClusterError> {
        let list = call("list plans", self.0.list(&ListParams::default().labels(&selector(sync)))).await?;
        let mut plans: BTreeMap<String, Found> = BTreeMap::new();
        for part in list.items.into_iter().filter(|part| part.spec.sync == sync) {
            let plan = plans.entry(part.spec.digest.clone()).or_insert_with(|| Found {
                digest: part.spec.digest.clone(),
                created: part.creation_timestamp(),
                parts: Vec::new(),
            });
            plan.parts.push(part);
        }
        for plan in plans.values_mut() {
            plan.parts.sort_by_key(|part| part.spec.part);
        }
        Ok(plans.into_values().collect())
    }
}

/// The first digits of a digest: enough to tell the plans of one resource apart.
fn short(digest: &str) -> &str {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.get(..16).unwrap_or(digits)
}
