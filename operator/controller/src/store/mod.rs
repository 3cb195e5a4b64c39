//! What is kept in the cluster between runs: plans, state and approvals, as kinds of their own, so that nobody needs a
//! right to Secrets to review or to approve.

pub mod approvals;
mod error;
mod plans;
mod state;

pub use approvals::Approvals;
pub use error::StoreError;
pub use plans::{Plans, StoredPlan};
pub use state::{Remembered, States};

use crate::cluster::{ClusterError, call, found};
use directory_sync_api::{DirectorySync, SYNC_LABEL};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Metadata of an object that belongs to `sync` and goes with it.
fn owned(sync: &DirectorySync, name: String) -> ObjectMeta {
    let owner = OwnerReference {
        api_version: DirectorySync::api_version(&()).into_owned(),
        kind: DirectorySync::kind(&()).into_owned(),
        name: sync.name_any(),
        uid: sync.uid().unwrap_or_default(),
        controller: Some(true),
        // Deleting the resource need not wait for what is kept for it.
        block_owner_deletion: Some(false),
    };
    ObjectMeta {
        name: Some(name),
        labels: Some(BTreeMap::from([
            (SYNC_LABEL.to_owned(), label(&sync.name_any())),
            ("app.kubernetes.io/managed-by".to_owned(), "directory-sync-operator".to_owned()),
        ])),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Whether an object was kept for another resource of the same name, one that was deleted: it is about to be collected
/// as garbage. What has no owner at all was left or restored on purpose.
fn is_foreign(sync: &DirectorySync, object: &impl ResourceExt) -> bool {
    let kind = DirectorySync::kind(&());
    let mut owners = object.owner_references().iter().filter(|owner| owner.kind == kind).peekable();
    owners.peek().is_some() && owners.all(|owner| Some(&owner.uid) != sync.uid().as_ref())
}

/// Creates an object whose name says what is in it, so that one that is there already is as good; but not if it is
/// about to go with a resource that was deleted.
async fn create<K>(what: &'static str, api: &Api<K>, sync: &DirectorySync, object: &K) -> Result<(), ClusterError>
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let parameters = PostParams::default();
    match call(what, api.create(&parameters, object)).await {
        Err(error) if error.is_conflict() => {}
        created => return created.map(drop),
    }
    let name = object.name_any();
    match found(call(what, api.get_metadata(&name)).await)? {
        Some(present) if !is_foreign(sync, &present) => Ok(()),
        present => {
            if present.is_some() {
                found(call(what, api.delete(&name, &DeleteParams::default())).await)?;
            }
            call(what, api.create(&parameters, object)).await.map(drop)
        }
    }
}

/// Selects the objects of a resource. Names may be longer than labels, so the spec is compared too.
fn selector(sync: &str) -> String {
    format!("{SYNC_LABEL}={}", label(sync))
}

/// A name as a label value, which has at most 63 characters.
fn label(name: &str) -> String {
    if name.len() <= 63 { name.to_owned() } else { format!("sha256-{}", &hex(&Sha256::digest(name))[..40]) }
}

/// The beginning of a name that leaves room for what is appended: names have at most 253 characters.
fn stem(name: &str) -> String {
    if name.len() <= 200 { name.to_owned() } else { label(name) }
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        for half in [byte >> 4, byte & 0xf] {
            digits.extend(char::from_digit(u32::from(half), 16));
        }
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_two_digits_each() {
        assert_eq!(hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }

    #[test]
    fn long_names_become_short_labels_that_still_differ() {
        let (a, b) = ("a".repeat(250), format!("{}b", "a".repeat(249)));
        assert_ne!(label(&a), label(&b));
        assert!(label(&a).len() <= 63);
        assert_eq!(label("staff"), "staff");
    }
}
