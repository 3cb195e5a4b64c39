//! How many changes of which kind a plan makes.

use crate::operation::Verb;

/// Changes to people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSummary {
    /// Created.
    pub create: u64,
    /// Taken over.
    pub adopt: u64,
    /// Changed in one or more fields.
    pub update: u64,
    /// Moved to another org unit.
    #[serde(rename = "move")]
    pub moved: u64,
    /// Made active again.
    pub restore: u64,
    /// Suspended.
    pub suspend: u64,
    /// Deleted.
    pub delete: u64,
}

/// Changes to groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GroupSummary {
    /// Created.
    pub create: u64,
    /// Taken over.
    pub adopt: u64,
    /// Changed in one or more fields.
    pub update: u64,
    /// Deleted.
    pub delete: u64,
}

/// Additions and removals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AddRemove {
    /// Added.
    pub add: u64,
    /// Removed.
    pub remove: u64,
}

/// How many changes of which kind a plan makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// People.
    pub users: UserSummary,
    /// Groups.
    pub groups: GroupSummary,
    /// Aliases.
    pub aliases: AddRemove,
    /// Memberships.
    pub memberships: AddRemove,
}

impl Summary {
    /// Counts operations by what they do.
    pub fn of(verbs: impl IntoIterator<Item = Verb>) -> Self {
        let mut summary = Self::default();
        for verb in verbs {
            *summary.slot(verb) += 1;
        }
        summary
    }

    fn slot(&mut self, verb: Verb) -> &mut u64 {
        match verb {
            Verb::CreateGroup => &mut self.groups.create,
            Verb::AdoptGroup => &mut self.groups.adopt,
            Verb::UpdateGroup => &mut self.groups.update,
            Verb::DeleteGroup => &mut self.groups.delete,
            Verb::CreateUser => &mut self.users.create,
            Verb::AdoptUser => &mut self.users.adopt,
            Verb::UpdateUser => &mut self.users.update,
            Verb::MoveUser => &mut self.users.moved,
            Verb::RestoreUser => &mut self.users.restore,
            Verb::SuspendUser => &mut self.users.suspend,
            Verb::DeleteUser => &mut self.users.delete,
            Verb::AddAlias => &mut self.aliases.add,
            Verb::RemoveAlias => &mut self.aliases.remove,
            Verb::AddMember => &mut self.memberships.add,
            Verb::RemoveMember => &mut self.memberships.remove,
        }
    }

    /// How many operations of one verb there are.
    pub fn count(&self, verb: Verb) -> u64 {
        let mut copy = *self;
        *copy.slot(verb)
    }

    /// Creations and additions.
    pub fn added(&self) -> u64 {
        self.users.create + self.groups.create + self.aliases.add + self.memberships.add
    }

    /// Changes to what exists.
    pub fn changed(&self) -> u64 {
        let UserSummary { adopt, update, moved, restore, .. } = self.users;
        adopt + update + moved + restore + self.groups.adopt + self.groups.update
    }

    /// Suspensions, deletions and removals.
    pub fn removed(&self) -> u64 {
        self.users.suspend + self.users.delete + self.groups.delete + self.aliases.remove + self.memberships.remove
    }

    /// All operations.
    pub fn total(&self) -> u64 {
        self.added() + self.changed() + self.removed()
    }
}

impl std::fmt::Display for Summary {
    /// `+14 ~3 −0`: creations, changes, removals.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "+{} ~{} −{}", self.added(), self.changed(), self.removed())
    }
}
