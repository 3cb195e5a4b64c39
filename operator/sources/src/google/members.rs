//! All direct members of groups.

use super::directory::{Directory, Member, MemberKind};
use super::error::GoogleError;
use directory_sync_core::read::{IncompleteRead, Next, Read, ReadCaps, SourceSide};
use directory_sync_core::snapshot::{Reference, Referencer};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many groups are read at once. Pacing bounds the requests; this only hides their latency.
pub(super) const CONCURRENT: usize = 16;

/// The direct members of one group.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// People, by the names under which groups know them, which take less memory than ids.
    pub(super) people: Vec<Reference>,
    /// Ids of groups.
    pub(super) groups: Vec<String>,
    /// Ids of customers all of whose users are members.
    pub(super) customers: Vec<String>,
}

/// Reads the members of groups, all of them together within one cap.
#[derive(Debug)]
pub(super) struct MemberReader<'d> {
    pub(super) directory: &'d Directory,
    pub(super) referencer: Referencer,
    caps: ReadCaps,
    /// How many members were taken so far, of whichever group.
    taken: AtomicUsize,
}

impl<'d> MemberReader<'d> {
    pub(super) fn new(directory: &'d Directory, referencer: Referencer, caps: ReadCaps) -> Self {
        Self { directory, referencer, caps, taken: AtomicUsize::new(0) }
    }

    pub(super) fn caps(&self) -> ReadCaps {
        self.caps
    }

    /// The direct members of a group, to the end that Google announces.
    pub(super) async fn all(&self, group: &str) -> Result<Members, GoogleError> {
        let name = || format!("the members of group {group}");
        // The state machine of reads, for its judgement of pages alone.
        let mut pages = Read::<SourceSide>::start(self.caps);
        let section = pages.open(name());
        let mut members = Members::default();
        let mut token: Option<String> = None;
        loop {
            let page = self.directory.members(group, token.as_deref()).await?;
            let count = page.items.len();
            if self.taken.fetch_add(count, Ordering::Relaxed).saturating_add(count) > self.caps.memberships {
                let (section, what, cap) = (name(), "memberships", self.caps.memberships);
                return Err(IncompleteRead::CapExceeded { section, what, cap }.into());
            }
            for Member { id, kind } in page.items {
                match kind {
                    MemberKind::User => members.people.push(self.referencer.reference(id.as_bytes())),
                    MemberKind::Group => members.groups.push(id),
                    MemberKind::Customer => members.customers.push(id),
                    MemberKind::Stranger => {}
                    MemberKind::Unclear => return Err(GoogleError::MemberUnclear { group: group.to_owned() }),
                }
            }
            // Ids take more memory than references; nobody nests so many groups in one.
            for (what, count) in [("groups", members.groups.len()), ("customers", members.customers.len())] {
                if count > self.caps.entries {
                    let (section, cap) = (name(), self.caps.entries);
                    return Err(IncompleteRead::CapExceeded { section, what, cap }.into());
                }
            }
            match page.next {
                Some(next) => {
                    pages.page(section, Next::Page(next.as_bytes()))?;
                    token = Some(next);
                }
                None => return Ok(members),
            }
        }
    }
}

/// Whether it cannot be told who the members of this one group are, which says nothing about the rest of the read.
pub(super) fn are_withheld(error: &GoogleError) -> bool {
    matches!(error, GoogleError::NotFound { .. } | GoogleError::Forbidden { .. } | GoogleError::MemberUnclear { .. })
}
