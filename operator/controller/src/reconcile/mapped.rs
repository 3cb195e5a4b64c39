//! A directory that holds people of whom the mapping finds nobody is not an empty directory.

use directory_sync_api::mapping::FieldSource;
use directory_sync_api::sync::DirectorySyncSpec;
use directory_sync_core::disposition::{Classified, Disposition};
use directory_sync_core::read::{CompleteRead, SourceSide};

/// The mapping finds nobody among those who were read. Planned from, that would remove everybody who is managed, or
/// look like a success that did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "spec.mapping.{field}: not one of the {kind} read ({count}) has {what}{place}; name an attribute that they have and \
     that the account may read"
)]
pub struct MapsNobody {
    field: &'static str,
    kind: &'static str,
    count: u64,
    what: &'static str,
    place: String,
}

impl Classified for MapsNobody {
    fn disposition(&self) -> Disposition {
        // The mapping may be right, and the account has lost the right to read.
        Disposition::Retry
    }

    fn reason(&self) -> &'static str {
        "MappingFindsNobody"
    }
}

/// Refuses a read in which there are people, or groups, and the mapping finds none of them.
pub fn check(spec: &DirectorySyncSpec, source: &CompleteRead<SourceSide>) -> Result<(), MapsNobody> {
    let (snapshot, skipped) = (source.snapshot(), source.snapshot().skipped());
    let mapping = spec.effective_mapping();
    let (user, group) = (mapping.user.unwrap_or_default(), mapping.group.unwrap_or_default());
    let nobody = |field, kind, count, what, by: Option<FieldSource>| {
        let by = by.and_then(|by| by.attribute.or(by.cel));
        MapsNobody { field, kind, count, what, place: by.map(|by| format!(" by `{by}`")).unwrap_or_default() }
    };
    if snapshot.user_count() == 0 && skipped.users_without_id > 0 {
        return Err(nobody("user.id", "people", skipped.users_without_id, "an id", user.id));
    }
    if snapshot.group_count() == 0 && skipped.groups_without_id > 0 {
        return Err(nobody("group.id", "groups", skipped.groups_without_id, "an id", group.id));
    }
    let mut users = snapshot.users();
    if users.len() > 0 && users.all(|user| user.address().is_empty()) {
        return Err(nobody("user.email", "people", snapshot.counts().users, "an address", user.email));
    }
    Ok(())
}
