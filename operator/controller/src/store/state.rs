//! What is remembered: immutable parts, and a head that says which of them are valid.

use super::{StoreError, create, hex, is_foreign, owned, selector, stem};
use crate::cluster::{ClusterError, FIELD_MANAGER, call, found};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use directory_sync_api::plan::{Encoding, MAX_PART_BYTES};
use directory_sync_api::state::{STATE_VERSION, StateHead, StatePart};
use directory_sync_api::{DirectorySync, DirectorySyncState, DirectorySyncStateSpec};
use directory_sync_core::state::State;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sha2::{Digest as _, Sha256};

/// The states of one namespace.
#[derive(Debug, Clone)]
pub struct States(Api<DirectorySyncState>);

/// A state, and which version of the head it was read from.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// What is remembered.
    pub state: State,
    /// How often it was written; 0: never.
    revision: i64,
    /// The head's resource version, so that nobody else's write is overwritten.
    resource_version: Option<String>,
}

impl States {
    /// Those of this namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// What is remembered for a resource. Where nothing is, that is a new state. What is there but cannot be read is an
    /// error, because taking it for new would forget who was suspended when.
    pub async fn load(&self, sync: &DirectorySync) -> Result<Remembered, StoreError> {
        let name = head_name(sync);
        let head = found(call("read the state", self.0.get(&name)).await)?;
        let Some(head) = head.filter(|head| !is_foreign(sync, head)) else {
            return Ok(Remembered { state: State::new(), revision: 0, resource_version: None });
        };
        let resource_version = head.resource_version();
        let damaged = |what: String| StoreError::Damaged { name: name.clone(), what };
        let Some(head) = head.spec.head else { return Err(damaged("the head is a part".to_owned())) };
        if head.version > STATE_VERSION {
            return Err(StoreError::NewerState { name, found: head.version });
        }
        let mut packed = Vec::new();
        for index in 0..head.parts {
            let part = found(call("read the state", self.0.get(&part_name(sync, &head.checksum, index))).await)?
                .and_then(|object| object.spec.part)
                .ok_or_else(|| damaged(format!("part {index} of revision {} is missing", head.revision)))?;
            let data = BASE64_STANDARD
                .decode(&part.data)
                .map_err(|_| damaged(format!("part {index} of revision {} is no base64", head.revision)))?;
            packed.extend(data);
        }
        if hex(&Sha256::digest(&packed)) != head.checksum {
            return Err(damaged(format!("the checksum of revision {} differs", head.revision)));
        }
        let state = State::read(packed.as_slice()).map_err(|source| StoreError::State { name, source })?;
        Ok(Remembered { state, revision: head.revision, resource_version })
    }

    /// Writes a state over the one that was read: the parts, then the head, then the old parts go. A run that ends in
    /// between leaves the old state, or the new one with parts too many. Writes nothing if nothing changed. It fails if
    /// somebody else has written meanwhile, unless that is this very state: an answer that was lost on the way.
    pub async fn save(
        &self,
        sync: &DirectorySync,
        before: &Remembered,
        state: State,
    ) -> Result<Remembered, StoreError> {
        if before.state == state && before.revision > 0 {
            return Ok(before.clone());
        }
        let mut packed = Vec::new();
        state.write(&mut packed)?;
        let revision = before.revision + 1;
        let checksum = hex(&Sha256::digest(&packed));
        let parts: Vec<&[u8]> = packed.chunks(MAX_PART_BYTES).collect();
        for (index, data) in (0..).zip(&parts) {
            let part = StatePart { revision, index, data: BASE64_STANDARD.encode(data) };
            let object = DirectorySyncState {
                metadata: owned(sync, part_name(sync, &checksum, part.index)),
                spec: DirectorySyncStateSpec { sync: sync.name_any(), head: None, part: Some(part) },
            };
            create("write the state", &self.0, sync, &object).await?;
        }
        let head = DirectorySyncState {
            metadata: owned(sync, head_name(sync)),
            spec: DirectorySyncStateSpec {
                sync: sync.name_any(),
                head: Some(StateHead {
                    version: STATE_VERSION,
                    revision,
                    parts: i32::try_from(parts.len()).unwrap_or(i32::MAX),
                    encoding: Encoding::Gzip,
                    checksum: checksum.clone(),
                    bytes: i64::try_from(packed.len()).unwrap_or(i64::MAX),
                }),
                part: None,
            },
        };
        let resource_version = match self.write_head(sync, head, before.resource_version.clone()).await {
            Ok(written) => written,
            Err(error) if error.is_conflict() => {
                let present = self.load(sync).await?;
                return if present.state == state { Ok(present) } else { Err(error.into()) };
            }
            Err(error) => return Err(error.into()),
        };
        if let Err(error) = self.delete_parts(sync, &checksum).await {
            tracing::warn!(%error, "parts of an old state stay until the next one is written");
        }
        Ok(Remembered { state, revision, resource_version })
    }

    /// Switches to the new parts, and gives the resource version of the head.
    async fn write_head(
        &self,
        sync: &DirectorySync,
        mut head: DirectorySyncState,
        resource_version: Option<String>,
    ) -> Result<Option<String>, ClusterError> {
        let name = head.name_any();
        if resource_version.is_none() {
            if let Some(present) = found(call("read the state", self.0.get_metadata(&name)).await)?
                && is_foreign(sync, &present)
            {
                found(call("delete the old state", self.0.delete(&name, &DeleteParams::default())).await)?;
            }
            let created = call("write the state", self.0.create(&PostParams::default(), &head)).await?;
            return Ok(created.resource_version());
        }
        head.metadata.resource_version = resource_version;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = call("write the state", self.0.patch(&name, &params, &Patch::Merge(&head))).await?;
        Ok(patched.resource_version())
    }

    /// Deletes all parts but those of the state with this checksum.
    async fn delete_parts(&self, sync: &DirectorySync, checksum: &str) -> Result<(), ClusterError> {
        let name = sync.name_any();
        let all = call("list the state", self.0.list(&ListParams::default().labels(&selector(&name)))).await?;
        let old = |object: &DirectorySyncState| {
            let is_valid = |part: &StatePart| object.name_any() == part_name(sync, checksum, part.index);
            object.spec.sync == name && object.spec.part.as_ref().is_some_and(|part| !is_valid(part))
        };
        for object in all.items.iter().filter(|object| old(object)) {
            let name = object.name_any();
            found(call("delete the old state", self.0.delete(&name, &DeleteParams::default())).await)?;
        }
        Ok(())
    }
}

fn head_name(sync: &DirectorySync) -> String {
    stem(&sync.name_any())
}

/// Named by content, so that a writer who is late can never replace a part that is valid.
fn part_name(sync: &DirectorySync, checksum: &str, index: i32) -> String {
    format!("{}-{}-{index}", stem(&sync.name_any()), checksum.get(..16).unwrap_or(checksum))
}
