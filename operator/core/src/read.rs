//! The state machine that decides whether a read was complete.
//!
//! A read has sections (one search, one list, one group's members). Each section takes entries and pages until the
//! server itself says that it is done. Only when every section has come to its end does [`Read::finish`] give a
//! [`CompleteRead`]; on any other way out there is no snapshot, so nothing can be planned from it.

use crate::Disposition;
use crate::operation::Kind;
use crate::plan::{WarningKind, Warnings};
use crate::snapshot::{
    ColumnFull, GroupRecord, GroupRow, Reference, Referencer, Skipped, Snapshot, SnapshotBuilder, UserRecord, UserRow,
};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;

/// Which side of a synchronisation a read is of. Keeps a target from being planned as a source.
pub trait Side: sealed::Sealed + Send + Sync + std::fmt::Debug + 'static {}

/// The directory whose people are the truth. What was read of it may serve several targets.
#[derive(Debug, Clone, Copy)]
pub struct SourceSide;

/// The service that is brought into line.
#[derive(Debug)]
pub struct TargetSide;

impl Side for SourceSide {}
impl Side for TargetSide {}

mod sealed {
    pub trait Sealed {
        /// Whether entries are looked up again after the read, by the names that groups use for them.
        const LOOKED_UP: bool;
    }
    impl Sealed for super::SourceSide {
        const LOOKED_UP: bool = true;
    }
    impl Sealed for super::TargetSide {
        const LOOKED_UP: bool = false;
    }
}

/// A snapshot that is known to be whole: every section was read to the end that the server announced.
///
/// There is no other way to make one than [`Read::finish`]. A read of a source can be cloned for a further target: the
/// clone shares the columns, and only what [`CompleteRead::settle_nesting`] replaces is held twice.
#[derive(Debug, Clone)]
pub struct CompleteRead<S: Side> {
    snapshot: Snapshot,
    warnings: Warnings,
    server: Option<String>,
    caps: ReadCaps,
    side: PhantomData<S>,
}

impl<S: Side> CompleteRead<S> {
    /// What was read.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What came up while reading that a plan has to warn of.
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// Which of several servers was read, where replicas may lag behind each other.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }
}

impl CompleteRead<SourceSide> {
    /// Warns of groups that contain themselves, and, for a target without groups in groups, makes the people in nested
    /// groups direct members. A pure function of what was read.
    pub fn settle_nesting(&mut self, target_nests: bool) {
        let (cyclic, replaced) = if target_nests {
            (self.snapshot.cyclic_groups(), 0)
        } else {
            let nesting = self.snapshot.flatten_groups(self.caps.memberships);
            (nesting.cyclic, nesting.replaced)
        };
        for row in cyclic {
            let label = crate::plan::group_label(self.snapshot.group(row)).to_owned();
            self.warnings.add(WarningKind::GroupInItself, Kind::Group, &label);
        }
        self.warnings.count(WarningKind::NestedGroupsFlattened, Kind::Membership, replaced, "");
    }
}

/// Upper bounds on what one read may hold, so that no server can exhaust the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadCaps {
    /// People and groups together.
    pub entries: usize,
    /// Memberships.
    pub memberships: usize,
    /// Pages of one section.
    pub pages: usize,
}

impl Default for ReadCaps {
    fn default() -> Self {
        Self { entries: 5_000_000, memberships: 50_000_000, pages: 1_000_000 }
    }
}

/// Names a section of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section(usize);

impl Section {
    /// None that was opened: whatever is given to it is refused.
    pub const NONE: Self = Self(usize::MAX);
}

/// What a server says at the end of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// There is more, under this cookie, token or index.
    Page(&'a [u8]),
    /// This was all.
    End,
}

/// Why a read is not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncompleteRead {
    /// The server never said that it was done.
    #[error("the read of {section} stopped before the server said that it was complete")]
    MissingEnd {
        /// What was being read.
        section: String,
    },
    /// The server handed out a page that it had handed out before: its pages would never end.
    #[error(
        "the read of {section} goes in circles: the server gave the same page twice; \
         look at the server, or set another page size"
    )]
    RepeatedCookie {
        /// What was being read.
        section: String,
    },
    /// Entries or pages came after the server had said that it was done.
    #[error("the server went on sending after the end of {section}")]
    AfterEnd {
        /// What was being read.
        section: String,
    },
    /// There is more than the cap allows.
    #[error("the read of {section} exceeds the cap of {cap} {what}; narrow the search or raise the cap")]
    CapExceeded {
        /// What was being read.
        section: String,
        /// What there is too much of.
        what: &'static str,
        /// The cap.
        cap: usize,
    },
    /// A column cannot hold more.
    #[error("the read of {section} is too large: {source}")]
    Full {
        /// What was being read.
        section: String,
        /// Which bound was met.
        source: ColumnFull,
    },
    /// Nothing was read at all.
    #[error("nothing was read: no search is configured")]
    NoSection,
}

impl IncompleteRead {
    /// What to do after it.
    pub fn disposition(&self) -> Disposition {
        match self {
            // What there is too much of may have become less.
            Self::MissingEnd { .. }
            | Self::RepeatedCookie { .. }
            | Self::AfterEnd { .. }
            | Self::CapExceeded { .. }
            | Self::Full { .. } => Disposition::Retry,
            Self::NoSection => Disposition::Stall,
        }
    }

    /// The stable name for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::MissingEnd { .. } | Self::AfterEnd { .. } | Self::NoSection => "ReadIncomplete",
            Self::RepeatedCookie { .. } => "ReadRepeatsPages",
            Self::CapExceeded { .. } | Self::Full { .. } => "ReadTooLarge",
        }
    }
}

#[derive(Debug)]
struct Progress {
    name: String,
    ended: bool,
    pages: usize,
    /// The first entry of the page under way, where the source tells its entries apart.
    first: Option<Reference>,
    /// Hashes of the cookies seen, each with the first entry of the page that it came with: some servers give all pages
    /// of a search one cookie. A chance collision ends a read that would have gone on; it never passes one.
    cookies: HashSet<u64>,
}

/// A read under way.
#[derive(Debug)]
pub struct Read<S: Side> {
    builder: SnapshotBuilder,
    warnings: Warnings,
    server: Option<String>,
    sections: Vec<Progress>,
    caps: ReadCaps,
    side: PhantomData<S>,
}

impl<S: Side> Read<S> {
    /// Begins a read.
    pub fn start(caps: ReadCaps) -> Self {
        Self {
            builder: SnapshotBuilder::default(),
            warnings: Warnings::default(),
            server: None,
            sections: Vec::new(),
            caps,
            side: PhantomData,
        }
    }

    /// Says which of several servers is read: removals wait for a second read when it is another one than before.
    pub fn served_by(&mut self, server: impl Into<String>) {
        self.server = Some(server.into());
    }

    /// Notes something that a plan has to warn of.
    pub fn warn(&mut self, kind: WarningKind, object: Kind, sample: &str) {
        self.warnings.add(kind, object, sample);
    }

    /// Opens a section. `name` stands in messages: "people below ou=People,dc=example,dc=com".
    pub fn open(&mut self, name: impl Into<String>) -> Section {
        self.sections.push(Progress {
            name: name.into(),
            ended: false,
            pages: 0,
            first: None,
            cookies: HashSet::new(),
        });
        Section(self.sections.len() - 1)
    }

    /// Hashes the names by which entries refer to each other.
    pub fn referencer(&self) -> &Referencer {
        self.builder.referencer()
    }

    /// Counts of what was read but cannot be used.
    pub fn skipped_mut(&mut self) -> &mut Skipped {
        self.builder.skipped_mut()
    }

    /// Says that an entry came, whether it can be used or not. With that, pages with the same cookie but other entries
    /// count as progress (389 Directory Server numbers searches, not pages); without, a cookie may come only once.
    pub fn saw(&mut self, section: Section, entry: Reference) {
        if let Some(progress) = self.sections.get_mut(section.0) {
            progress.first.get_or_insert(entry);
        }
    }

    /// Takes a person.
    pub fn user(
        &mut self,
        section: Section,
        reference: Reference,
        record: &UserRecord,
    ) -> Result<UserRow, IncompleteRead> {
        self.admit(section)?;
        let before = self.builder.entry_count();
        let row = self.builder.user(reference, record).map_err(|source| self.full(section, source))?;
        let is_new = self.builder.entry_count() > before;
        if let (true, Some(Err(unusable))) = (is_new, &record.password) {
            let label = if record.address.is_empty() { &record.display_name } else { &record.address };
            self.warnings.add(WarningKind::PasswordUnusable(*unusable), Kind::User, label);
        }
        Ok(row)
    }

    /// Takes a group.
    pub fn group(
        &mut self,
        section: Section,
        reference: Reference,
        record: &GroupRecord,
    ) -> Result<GroupRow, IncompleteRead> {
        self.admit(section)?;
        self.builder.group(reference, record).map_err(|source| self.full(section, source))
    }

    /// Takes a member of a group.
    pub fn member(&mut self, section: Section, group: GroupRow, member: Reference) -> Result<(), IncompleteRead> {
        self.open_section(section)?;
        if self.builder.membership_count() >= self.caps.memberships {
            return Err(self.exceeded(section, "memberships", self.caps.memberships));
        }
        self.builder.member(group, member).map_err(|source| self.full(section, source))
    }

    /// Marks the members of a group as unknown, because they could not be read whole.
    pub fn members_unknown(&mut self, group: GroupRow) {
        self.builder.members_unknown(group);
    }

    /// Takes the end of a page: what the server said comes next.
    pub fn page(&mut self, section: Section, next: Next<'_>) -> Result<(), IncompleteRead> {
        self.open_section(section)?;
        let cap = self.caps.pages;
        let Some(progress) = self.sections.get_mut(section.0) else { return Err(IncompleteRead::NoSection) };
        progress.pages += 1;
        match next {
            Next::End => {
                progress.ended = true;
                progress.cookies = HashSet::new();
                Ok(())
            }
            Next::Page(cookie) => {
                let mut hasher = DefaultHasher::new();
                (cookie, progress.first.take()).hash(&mut hasher);
                if !progress.cookies.insert(hasher.finish()) {
                    return Err(IncompleteRead::RepeatedCookie { section: progress.name.clone() });
                }
                if progress.pages >= cap {
                    return Err(self.exceeded(section, "pages", cap));
                }
                Ok(())
            }
        }
    }

    /// Ends the read: a snapshot if, and only if, every section has come to the server's own end.
    pub fn finish(self) -> Result<CompleteRead<S>, IncompleteRead> {
        if self.sections.is_empty() {
            return Err(IncompleteRead::NoSection);
        }
        if let Some(open) = self.sections.iter().find(|section| !section.ended) {
            return Err(IncompleteRead::MissingEnd { section: open.name.clone() });
        }
        Ok(CompleteRead {
            snapshot: self.builder.finish(S::LOOKED_UP),
            warnings: self.warnings,
            server: self.server,
            caps: self.caps,
            side: PhantomData,
        })
    }

    fn admit(&self, section: Section) -> Result<(), IncompleteRead> {
        self.open_section(section)?;
        if self.builder.entry_count() >= self.caps.entries {
            return Err(self.exceeded(section, "entries", self.caps.entries));
        }
        Ok(())
    }

    fn open_section(&self, section: Section) -> Result<(), IncompleteRead> {
        match self.sections.get(section.0) {
            Some(progress) if progress.ended => Err(IncompleteRead::AfterEnd { section: progress.name.clone() }),
            Some(_) => Ok(()),
            None => Err(IncompleteRead::NoSection),
        }
    }

    fn exceeded(&self, section: Section, what: &'static str, cap: usize) -> IncompleteRead {
        IncompleteRead::CapExceeded { section: self.name(section), what, cap }
    }

    fn full(&self, section: Section, source: ColumnFull) -> IncompleteRead {
        IncompleteRead::Full { section: self.name(section), source }
    }

    fn name(&self, section: Section) -> String {
        self.sections.get(section.0).map(|progress| progress.name.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> (Read<SourceSide>, Section) {
        let mut read = Read::start(ReadCaps { entries: 2, memberships: 2, pages: 3 });
        let section = read.open("people");
        (read, section)
    }

    fn person(read: &mut Read<SourceSide>, section: Section, id: &str) -> Result<UserRow, IncompleteRead> {
        let reference = read.referencer().reference(id.as_bytes());
        read.user(section, reference, &UserRecord { id: id.to_owned(), ..UserRecord::default() })
    }

    #[test]
    fn a_read_whose_every_section_ended_is_complete() {
        let (mut read, section) = read();
        person(&mut read, section, "a").unwrap();
        read.page(section, Next::Page(b"1")).unwrap();
        read.page(section, Next::End).unwrap();
        assert_eq!(read.finish().unwrap().snapshot().counts().users, 1);
    }

    #[test]
    fn a_section_without_an_end_leaves_no_snapshot() {
        let (mut read, first) = read();
        read.page(first, Next::End).unwrap();
        read.open("groups");
        assert_eq!(read.finish().unwrap_err(), IncompleteRead::MissingEnd { section: "groups".to_owned() });
    }

    #[test]
    fn a_read_of_nothing_is_not_an_empty_directory() {
        assert_eq!(Read::<SourceSide>::start(ReadCaps::default()).finish().unwrap_err(), IncompleteRead::NoSection);
    }

    #[test]
    fn a_cookie_that_comes_twice_ends_the_read() {
        let (mut read, section) = read();
        read.page(section, Next::Page(b"x")).unwrap();
        let error = read.page(section, Next::Page(b"x")).unwrap_err();
        assert_eq!(error.reason(), "ReadRepeatsPages");
    }

    #[test]
    fn one_cookie_for_all_pages_is_fine_as_long_as_other_entries_come() {
        let (mut read, section) = read();
        let entry = |read: &Read<SourceSide>, name: &[u8]| read.referencer().reference(name);
        for name in [b"a", b"b"] {
            let first = entry(&read, name);
            read.saw(section, first);
            read.page(section, Next::Page(b"0")).unwrap();
        }
        let first = entry(&read, b"a");
        read.saw(section, first);
        assert!(matches!(read.page(section, Next::Page(b"0")), Err(IncompleteRead::RepeatedCookie { .. })));
    }

    #[test]
    fn entries_after_the_end_are_refused() {
        let (mut read, section) = read();
        read.page(section, Next::End).unwrap();
        assert!(matches!(person(&mut read, section, "late"), Err(IncompleteRead::AfterEnd { .. })));
    }

    #[test]
    fn caps_on_entries_memberships_and_pages_hold() {
        let (mut read, section) = read();
        person(&mut read, section, "a").unwrap();
        person(&mut read, section, "b").unwrap();
        assert!(matches!(person(&mut read, section, "c"), Err(IncompleteRead::CapExceeded { what: "entries", .. })));

        let (mut read, section) = self::read();
        let group = read.referencer().reference(b"g");
        let group = read.group(section, group, &GroupRecord::default()).unwrap();
        let member = read.referencer().reference(b"m");
        read.member(section, group, member).unwrap();
        read.member(section, group, member).unwrap();
        assert!(matches!(
            read.member(section, group, member),
            Err(IncompleteRead::CapExceeded { what: "memberships", .. })
        ));

        let (mut read, section) = self::read();
        read.page(section, Next::Page(b"1")).unwrap();
        read.page(section, Next::Page(b"2")).unwrap();
        assert!(matches!(read.page(section, Next::Page(b"3")), Err(IncompleteRead::CapExceeded { what: "pages", .. })));
    }

    #[test]
    fn members_are_found_whether_they_come_before_or_after_their_group() {
        let mut read = Read::<SourceSide>::start(ReadCaps::default());
        let section = read.open("all");
        let reference = |read: &Read<SourceSide>, name: &str| read.referencer().reference(name.as_bytes());
        person(&mut read, section, "before").unwrap();
        let group = read.group(section, reference(&read, "g"), &GroupRecord::default()).unwrap();
        for name in ["after", "before", "nobody", "before"] {
            read.member(section, group, reference(&read, name)).unwrap();
        }
        person(&mut read, section, "after").unwrap();
        read.page(section, Next::End).unwrap();
        let world = read.finish().unwrap();
        let group = world.snapshot().group(0);
        assert_eq!(group.members().len(), 2);
        assert_eq!(group.unresolved_members(), 1);
    }
}
