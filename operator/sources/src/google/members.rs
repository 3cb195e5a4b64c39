//! All direct members of one group.

use super::directory::{Directory, Member};
use super::error::GoogleError;
use directory_sync_core::read::{IncompleteRead, Next, Read, ReadCaps, SourceSide};

/// How many groups are read at once. Pacing bounds the requests; this only hides their latency.
pub(super) const CONCURRENT: usize = 16;

/// The direct members of a group, to the end that Google announces.
pub(super) async fn all_members(
    directory: &Directory,
    group: &str,
    caps: ReadCaps,
) -> Result<Vec<Member>, GoogleError> {
    let name = format!("the members of group {group}");
    // The state machine of reads, for its judgement of pages alone.
    let mut pages = Read::<SourceSide>::start(caps);
    let section = pages.open(name.clone());
    let mut members = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let (page, next) = directory.members(group, token.as_deref()).await?;
        members.extend(page);
        if members.len() > caps.memberships {
            let (section, what, cap) = (name, "memberships", caps.memberships);
            return Err(IncompleteRead::CapExceeded { section, what, cap }.into());
        }
        match next {
            Some(next) => {
                pages.page(section, Next::Page(next.as_bytes()))?;
                token = Some(next);
            }
            None => return Ok(members),
        }
    }
}

/// Whether Google refuses to say who the members of this one group are, which says nothing about the rest of the read.
pub(super) fn are_withheld(error: &GoogleError) -> bool {
    matches!(error, GoogleError::NotFound { .. } | GoogleError::Forbidden { .. })
}
