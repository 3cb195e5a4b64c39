//! One change to the target: small, with references into both snapshots; text is made only when someone looks.

use crate::capabilities::Fields;

/// What is done. The order of the variants is the order in which operations are sent.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::IntoStaticStr,
    strum::Display,
    strum::EnumIter,
)]
#[repr(u8)]
pub enum Verb {
    /// A group that the target does not have.
    CreateGroup,
    /// A group that exists there without being remembered as ours is taken over.
    AdoptGroup,
    /// Name, address or description of a group.
    UpdateGroup,
    /// A person the target does not have, with all fields and aliases.
    CreateUser,
    /// A person who exists there without being remembered as ours is taken over.
    AdoptUser,
    /// Fields of a person, the primary address among them.
    UpdateUser,
    /// A person changes the org unit.
    MoveUser,
    /// A suspended person is active in the source again.
    RestoreUser,
    /// An address more for an existing person.
    AddAlias,
    /// An address less for an existing person.
    RemoveAlias,
    /// A member more.
    AddMember,
    /// A member less.
    RemoveMember,
    /// A person may no longer use the service; nothing is lost.
    SuspendUser,
    /// A person is deleted.
    DeleteUser,
    /// A group is deleted.
    DeleteGroup,
}

impl Verb {
    /// Whether this takes something away: these are counted against the removal limits and confirmed first.
    pub const fn is_removal(self) -> bool {
        matches!(
            self,
            Self::RemoveAlias | Self::RemoveMember | Self::SuspendUser | Self::DeleteUser | Self::DeleteGroup
        )
    }

    /// What kind of object the operation changes: [`Kind::User`] or [`Kind::Group`].
    pub const fn object(self) -> Kind {
        match self.kind() {
            Kind::User | Kind::Alias => Kind::User,
            Kind::Group | Kind::Membership => Kind::Group,
        }
    }

    /// What kind of object the operation counts for.
    pub const fn kind(self) -> Kind {
        match self {
            Self::CreateGroup | Self::AdoptGroup | Self::UpdateGroup | Self::DeleteGroup => Kind::Group,
            Self::CreateUser
            | Self::AdoptUser
            | Self::UpdateUser
            | Self::MoveUser
            | Self::RestoreUser
            | Self::SuspendUser
            | Self::DeleteUser => Kind::User,
            Self::AddAlias | Self::RemoveAlias => Kind::Alias,
            Self::AddMember | Self::RemoveMember => Kind::Membership,
        }
    }
}

/// Kinds of things that operations change.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::IntoStaticStr,
    strum::Display,
)]
pub enum Kind {
    /// A person.
    User,
    /// A group.
    Group,
    /// An address of a person beside the primary one.
    Alias,
    /// A person or group in a group.
    Membership,
}

/// Why an operation is in the plan.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::IntoStaticStr,
    strum::Display,
)]
#[repr(u8)]
pub enum Reason {
    /// The source has it, the target does not.
    NewInSource,
    /// The target object bears the source's id.
    SameExternalId,
    /// The target object has the same primary address and no mark.
    SameAddress,
    /// Values differ.
    ChangedInSource,
    /// Active in the source, suspended in the target.
    ActiveInSource,
    /// Inactive in the source.
    DisabledInSource,
    /// Not in the read, and not found by its id either.
    GoneFromSource,
    /// Exists in the source, outside the configured base DNs.
    MovedOutOfScope,
    /// Exists in the source, but the filter no longer selects it.
    NoLongerMatches,
    /// Exists in the source, but without the attribute that gives the address.
    LostAddress,
    /// Not in the read; not yet looked up.
    MissingFromRead,
    /// No longer a member in the source.
    LeftGroup,
    /// The time after suspension is over.
    GraceOver,
}

/// No row: the operation has nothing on that side.
pub const NO_ROW: u32 = u32::MAX;

/// One change.
///
/// Rows point into the source's and the target's snapshot of the same plan. For users `source`/`target` are user
/// rows; for groups, group rows; for aliases the user's rows, with `member_source`/`member_target` the position of the
/// alias in that user's list; for memberships the group's rows, with `member_source`/`member_target` the
/// [`crate::snapshot::Member`]s as raw numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// What is done.
    pub verb: Verb,
    /// Why.
    pub reason: Reason,
    /// Which fields are written.
    pub fields: Fields,
    /// Row in the source, or [`NO_ROW`].
    pub source: u32,
    /// Row in the target, or [`NO_ROW`].
    pub target: u32,
    /// Alias or member in the source, or [`NO_ROW`].
    pub member_source: u32,
    /// Alias or member in the target, or [`NO_ROW`].
    pub member_target: u32,
}
