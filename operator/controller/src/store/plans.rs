//! Stored plans: parts that are written once, the last one last.

use super::{StoreError, create, hex, owned, selector, stem};
use crate::cluster::{ClusterError, call, found};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use directory_sync_api::plan::{Encoding, MAX_STORED_BYTES};
use directory_sync_api::{DirectorySync, DirectorySyncPlan, DirectorySyncPlanSpec};
use directory_sync_core::gate::Judgement;
use directory_sync_core::plan::document::{PlanDocument, parts, parts_that_fit};
use directory_sync_core::rules::Rules;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Most plans kept for one resource, however small they are.
const MAX_STORED_PLANS: usize = 50;

/// Says on every part which plan it belongs to, so that clearing away need not read what is stored.
const DIGEST: &str = "directorysync.dev/plan-digest";

/// Says on every part how many bytes it holds, before base64.
const BYTES: &str = "directorysync.dev/plan-bytes";

/// The stored plans of one namespace.
#[derive(Debug, Clone)]
pub struct Plans {
    api: Api<DirectorySyncPlan>,
    /// Most bytes of all plans of one resource.
    room: usize,
}

/// Where a plan is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPlan {
    /// What the names of its objects begin with.
    pub name: String,
    /// How many objects there are.
    pub parts: usize,
    /// Bytes, packed, before base64.
    pub bytes: usize,
    /// Whether all of the plan is kept. Otherwise it is its most dangerous changes, and it can only be approved as a
    /// whole.
    pub complete: bool,
}

/// What is there of one plan.
#[derive(Default)]
struct Kept {
    created: Option<Time>,
    bytes: usize,
    parts: Vec<String>,
}

impl Plans {
    /// Those of this namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self::with_room(client, namespace, MAX_STORED_BYTES)
    }

    /// Those of this namespace, with room for so many bytes for each resource.
    pub fn with_room(client: Client, namespace: &str, room: usize) -> Self {
        Self { api: Api::namespaced(client, namespace), room }
    }

    /// Keeps a judged plan. A plan that is there already is left as it is, because its name is its content. Of a plan
    /// that is too large the most dangerous changes are kept.
    ///
    /// Room for it is made first: the oldest plans go, and only when nothing else is left those whose digests are in
    /// `awaited`, which an approval names.
    pub async fn store(
        &self,
        sync: &DirectorySync,
        judgement: &Judgement<'_>,
        rules: &Rules,
        awaited: &[String],
    ) -> Result<StoredPlan, StoreError> {
        let whole = parts(judgement, rules, self.room)?;
        let complete = whole.is_some();
        let packed = match whole {
            Some(packed) => packed,
            None => parts_that_fit(judgement, rules, self.room)?,
        };
        let digest = judgement.plan().digest().to_string();
        let name = plan_name(&sync.name_any(), &digest);
        let stored = StoredPlan { name, parts: packed.len(), bytes: packed.iter().map(Vec::len).sum(), complete };
        if self.is_stored(sync, &stored).await? {
            return Ok(stored);
        }
        self.make_room(sync, &digest, stored.bytes, awaited).await?;
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
            let mut metadata = owned(sync, format!("{}-{number}", stored.name));
            let annotations = [(DIGEST, digest.clone()), (BYTES, data.len().to_string())];
            metadata.annotations = Some(annotations.map(|(name, value)| (name.to_owned(), value)).into());
            create("store a plan", &self.api, sync, &DirectorySyncPlan { metadata, spec }).await?;
        }
        Ok(stored)
    }

    /// Whether the last part of it, and with it every other, is there.
    async fn is_stored(&self, sync: &DirectorySync, plan: &StoredPlan) -> Result<bool, ClusterError> {
        let last = format!("{}-{}", plan.name, plan.parts);
        let part = found(call("read a plan", self.api.get_metadata(&last)).await)?;
        Ok(part.is_some_and(|part| !super::is_foreign(sync, &part)))
    }

    /// A plan by its digest; `None` if it is not, or not wholly, there.
    pub async fn load(&self, sync: &str, digest: &str) -> Result<Option<PlanDocument>, StoreError> {
        let name = plan_name(sync, digest);
        let (mut packed, mut number, mut parts) = (Vec::new(), 1, 1);
        while number <= parts {
            let part = found(call("read a plan", self.api.get(&format!("{name}-{number}"))).await)?;
            let Some(part) = part.filter(|part| part.spec.digest == digest && part.spec.sync == sync) else {
                return Ok(None);
            };
            let Ok(data) = BASE64_STANDARD.decode(&part.spec.data) else { return Ok(None) };
            if hex(&Sha256::digest(&data)) != part.spec.sha256 {
                return Ok(None);
            }
            packed.extend(data);
            parts = part.spec.parts;
            number += 1;
        }
        let digest = digest.to_owned();
        PlanDocument::read(packed.as_slice()).map(Some).map_err(|source| StoreError::Plan { digest, source })
    }

    /// Deletes plans until there is room for so many bytes more: the oldest first, those that are awaited last.
    async fn make_room(
        &self,
        sync: &DirectorySync,
        digest: &str,
        bytes: usize,
        awaited: &[String],
    ) -> Result<(), ClusterError> {
        let mut plans: Vec<_> = self.kept(&sync.name_any()).await?.into_iter().collect();
        // Parts of this very plan are what an earlier run left when it ended too early: they stay.
        plans.retain(|(kept, _)| kept != digest);
        plans.sort_by_key(|(digest, plan)| (awaited.contains(digest), plan.created.as_ref().map(|created| created.0)));
        let mut left: usize = plans.iter().map(|(_, plan)| plan.bytes).sum();
        let count = plans.len();
        for (deleted, (_, plan)) in plans.into_iter().enumerate() {
            if left + bytes <= self.room && count - deleted < MAX_STORED_PLANS {
                break;
            }
            left -= plan.bytes;
            for part in plan.parts {
                found(call("delete an old plan", self.api.delete(&part, &DeleteParams::default())).await)?;
            }
        }
        Ok(())
    }

    /// What is kept for a resource, by digest.
    async fn kept(&self, sync: &str) -> Result<BTreeMap<String, Kept>, ClusterError> {
        let parameters = ListParams::default().labels(&selector(sync));
        let list = call("list plans", self.api.list_metadata(&parameters)).await?;
        let mut plans: BTreeMap<String, Kept> = BTreeMap::new();
        for part in list.items {
            let digest = part.annotations().get(DIGEST).cloned().unwrap_or_default();
            let bytes = part.annotations().get(BYTES).and_then(|bytes| bytes.parse().ok());
            let plan = plans.entry(digest).or_default();
            plan.bytes += bytes.unwrap_or(directory_sync_api::plan::MAX_PART_BYTES);
            plan.created = plan.created.take().or_else(|| part.creation_timestamp());
            plan.parts.push(part.name_any());
        }
        Ok(plans)
    }
}

/// What the names of a plan's parts begin with: the first digits of the digest tell the plans of one resource apart.
fn plan_name(sync: &str, digest: &str) -> String {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    format!("{}-{}", stem(sync), digits.get(..16).unwrap_or(digits))
}
