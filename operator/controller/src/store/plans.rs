//! Stored plans: parts that are written once, the last one last.
//!
//! The digest of a plan says nothing of what holds it, of the rules in force or of the values before it, and all of
//! these may be others in the next run. So one plan may be written down in several versions. Parts are named by the
//! plan's digest and by what is written: those of different versions are never taken for one another, whenever a run
//! ends in between.

use super::{StoreError, create, hex, is_foreign, owned, selector, stem};
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

/// One version of a plan as it was written down.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    digest: String,
    /// What the names of its parts begin with.
    name: String,
}

/// What is there of one version of a plan.
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

    /// Keeps a judged plan. A version that is there already is left as it is, because its name is its content; an older
    /// version of the same plan goes, unless the status still names it. Of a plan that is too large the most dangerous
    /// changes are kept.
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
        let name = version_name(&sync.name_any(), &digest, &packed);
        let version = Version { digest, name };
        let stored = StoredPlan {
            name: version.name.clone(),
            parts: packed.len(),
            bytes: packed.iter().map(Vec::len).sum(),
            complete,
        };
        let mut kept = self.kept(sync).await?;
        if kept.get(&version).is_none_or(|present| present.parts.len() < packed.len()) {
            self.make_room(sync, &mut kept, &version, stored.bytes, awaited).await?;
            self.write(sync, &version, &packed).await?;
        }
        let shown = shown(sync);
        for (old, plan) in &kept {
            if old.digest == version.digest && old.name != version.name && Some(old.name.as_str()) != shown {
                self.delete(plan).await?;
            }
        }
        Ok(stored)
    }

    /// Writes the parts that are not there yet.
    async fn write(&self, sync: &DirectorySync, version: &Version, packed: &[Vec<u8>]) -> Result<(), ClusterError> {
        let count = i32::try_from(packed.len()).unwrap_or(i32::MAX);
        for (number, data) in (1..).zip(packed) {
            let spec = DirectorySyncPlanSpec {
                sync: sync.name_any(),
                digest: version.digest.clone(),
                part: number,
                parts: count,
                encoding: Encoding::Gzip,
                data: BASE64_STANDARD.encode(data),
                sha256: hex(&Sha256::digest(data)),
                bytes: i64::try_from(data.len()).unwrap_or(i64::MAX),
            };
            let mut metadata = owned(sync, format!("{}-{number}", version.name));
            let annotations = [(DIGEST, version.digest.clone()), (BYTES, data.len().to_string())];
            metadata.annotations = Some(annotations.map(|(name, value)| (name.to_owned(), value)).into());
            create("store a plan", &self.api, sync, &DirectorySyncPlan { metadata, spec }).await?;
        }
        Ok(())
    }

    /// A plan by its digest, in its newest version; `None` if it is not, or not wholly, there. What is there and cannot
    /// be read is an error only if no other version is whole.
    pub async fn load(&self, sync: &DirectorySync, digest: &str) -> Result<Option<PlanDocument>, StoreError> {
        let mut versions: Vec<_> =
            self.kept(sync).await?.into_iter().filter(|(kept, _)| kept.digest == digest).collect();
        versions.sort_by_key(|(_, plan)| std::cmp::Reverse(plan.created.as_ref().map(|created| created.0)));
        let mut unusable = None;
        for (version, _) in versions {
            match self.read(&sync.name_any(), &version).await {
                Ok(None) => {}
                Err(error @ StoreError::Plan { .. }) => unusable = Some(error),
                found => return found,
            }
        }
        unusable.map_or(Ok(None), Err)
    }

    /// One version of a plan; `None` if it is not wholly there.
    async fn read(&self, sync: &str, version: &Version) -> Result<Option<PlanDocument>, StoreError> {
        let Version { digest, name } = version;
        let (mut packed, mut number, mut parts) = (Vec::new(), 1, 1);
        while number <= parts {
            let part = found(call("read a plan", self.api.get(&format!("{name}-{number}"))).await)?;
            let Some(part) = part.filter(|part| part.spec.digest == *digest && part.spec.sync == sync) else {
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
        let read = PlanDocument::read(packed.as_slice());
        match read.map_err(|source| StoreError::Plan { digest: digest.clone(), source })? {
            document if document.header.digest.to_string() == *digest => Ok(Some(document)),
            _ => Ok(None),
        }
    }

    /// Deletes plans until there is room for so many bytes more: the oldest first, then those that are awaited and the
    /// one that the status shows. What was deleted is no longer in `kept`.
    async fn make_room(
        &self,
        sync: &DirectorySync,
        kept: &mut BTreeMap<Version, Kept>,
        version: &Version,
        bytes: usize,
        awaited: &[String],
    ) -> Result<(), ClusterError> {
        // Parts of this very version are what an earlier run left when it ended too early: they stay.
        let mut plans: Vec<_> = kept.iter().filter(|(kept, _)| *kept != version).collect();
        plans.sort_by_key(|(kept, plan)| {
            let is_needed = awaited.contains(&kept.digest) || shown(sync) == Some(kept.name.as_str());
            (is_needed, plan.created.as_ref().map(|created| created.0))
        });
        let mut left: usize = plans.iter().map(|(_, plan)| plan.bytes).sum();
        let count = plans.len();
        let mut deleted = Vec::new();
        for (kept, plan) in plans {
            if left + bytes <= self.room && count - deleted.len() < MAX_STORED_PLANS {
                break;
            }
            left -= plan.bytes;
            self.delete(plan).await?;
            deleted.push(kept.clone());
        }
        kept.retain(|kept, _| !deleted.contains(kept));
        Ok(())
    }

    async fn delete(&self, plan: &Kept) -> Result<(), ClusterError> {
        for part in &plan.parts {
            found(call("delete an old plan", self.api.delete(part, &DeleteParams::default())).await)?;
        }
        Ok(())
    }

    /// What is kept for a resource.
    async fn kept(&self, sync: &DirectorySync) -> Result<BTreeMap<Version, Kept>, ClusterError> {
        let parameters = ListParams::default().labels(&selector(&sync.name_any()));
        let list = call("list plans", self.api.list_metadata(&parameters)).await?;
        let mut plans: BTreeMap<Version, Kept> = BTreeMap::new();
        for part in list.items.into_iter().filter(|part| !is_foreign(sync, part)) {
            let digest = part.annotations().get(DIGEST).cloned().unwrap_or_default();
            let bytes = part.annotations().get(BYTES).and_then(|bytes| bytes.parse().ok());
            let part_name = part.name_any();
            let name = part_name.rsplit_once('-').map_or(part_name.as_str(), |(name, _)| name).to_owned();
            let plan = plans.entry(Version { digest, name }).or_default();
            plan.bytes += bytes.unwrap_or(directory_sync_api::plan::MAX_PART_BYTES);
            plan.created = plan.created.take().or_else(|| part.creation_timestamp());
            plan.parts.push(part_name);
        }
        Ok(plans)
    }
}

/// The version that the status names.
fn shown(sync: &DirectorySync) -> Option<&str> {
    let plan = sync.status.as_ref()?.plan.as_ref()?;
    Some(plan.stored.as_ref()?.name.as_str())
}

/// What the names of a version's parts begin with: the first digits of the plan's digest tell the plans of one resource
/// apart, those of what is written the versions of one plan.
fn version_name(sync: &str, digest: &str, packed: &[Vec<u8>]) -> String {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    let content = hex(&packed.iter().fold(Sha256::new(), Sha256::chain_update).finalize());
    format!("{}-{}-{}", stem(sync), digits.get(..16).unwrap_or(digits), content.get(..8).unwrap_or(&content))
}
