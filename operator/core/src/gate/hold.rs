//! Why a plan or an operation waits: data, not text.

use crate::capabilities::Field;
use crate::operation::Kind;

/// Which bound of the limits.
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
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum Bound {
    /// Creations and additions.
    Creates,
    /// Updates, moves, restorations and adoptions.
    Updates,
    /// Suspensions, deletions and removals.
    Removals,
}

/// Why a plan, or some of it, waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "reason")]
pub enum Hold {
    /// More changes of one kind than a limit allows.
    #[serde(rename = "LimitExceeded")]
    LimitExceeded {
        /// Which kind of object.
        kind: Kind,
        /// Which bound.
        bound: Bound,
        /// How many are planned.
        planned: u64,
        /// How many are allowed.
        allowed: u64,
        /// Managed objects of the kind in the target before the run.
        population: u64,
    },
    /// The source is smaller than it may have become.
    #[serde(rename = "SourceShrunk")]
    SourceShrunk {
        /// Which kind of object.
        kind: Kind,
        /// How many there were at the baseline.
        before: u64,
        /// How many there are now.
        now: u64,
        /// By how many it may be smaller.
        allowed: u64,
    },
    /// More objects of ours than may would lose their value of one field: the source lost it, or the account may no
    /// longer read it.
    #[serde(rename = "ValuesVanished")]
    ValuesVanished {
        /// Which kind of object.
        kind: Kind,
        /// Which field; of [`Field::Active`]: inactive people who would become active.
        field: Field,
        /// How many would lose their value.
        planned: u64,
        /// How many may.
        allowed: u64,
        /// How many have a value in the target.
        population: u64,
    },
    /// The plan needs somebody's approval.
    #[serde(rename = "ApprovalRequired")]
    ApprovalRequired,
    /// The resource says `apply: false`.
    #[serde(rename = "NotApplied")]
    NotApplied,
    /// Some removals could not be confirmed.
    #[serde(rename = "Unconfirmed")]
    Unconfirmed,
    /// Some operations concern protected people or groups.
    #[serde(rename = "Protected")]
    Protected,
}

impl Hold {
    /// The stable name for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::LimitExceeded { .. } => "LimitExceeded",
            Self::SourceShrunk { .. } => "SourceShrunk",
            Self::ValuesVanished { .. } => "ValuesVanished",
            Self::ApprovalRequired => "ApprovalRequired",
            Self::NotApplied => "NotApplied",
            Self::Unconfirmed => "Unconfirmed",
            Self::Protected => "Protected",
        }
    }

    /// The field of the limits that holds (`users.removals`, `sourceShrink`), where it is one.
    pub fn limit(&self) -> Option<String> {
        match self {
            Self::LimitExceeded { kind, bound, .. } => Some(format!("{}.{bound}", plural(*kind))),
            Self::SourceShrunk { .. } | Self::ValuesVanished { .. } => Some("sourceShrink".to_owned()),
            _ => None,
        }
    }

    /// How many changes are planned, or how many objects are missing.
    pub fn planned(&self) -> Option<u64> {
        match *self {
            Self::LimitExceeded { planned, .. } | Self::ValuesVanished { planned, .. } => Some(planned),
            Self::SourceShrunk { before, now, .. } => Some(before.saturating_sub(now)),
            _ => None,
        }
    }

    /// How many are allowed.
    pub fn allowed(&self) -> Option<u64> {
        match *self {
            Self::LimitExceeded { allowed, .. }
            | Self::SourceShrunk { allowed, .. }
            | Self::ValuesVanished { allowed, .. } => Some(allowed),
            _ => None,
        }
    }

    /// Whether an operation that waits for this reason waits because of this hold.
    pub(super) fn explains(&self, waiting: Waiting) -> bool {
        match self {
            Self::LimitExceeded { .. } | Self::SourceShrunk { .. } | Self::ValuesVanished { .. } => {
                waiting == Waiting::Held
            }
            Self::ApprovalRequired => matches!(waiting, Waiting::ApprovalRequired | Waiting::NotInApprovedPlan),
            Self::NotApplied => waiting == Waiting::NotApplied,
            Self::Unconfirmed => waiting == Waiting::Unconfirmed,
            Self::Protected => waiting == Waiting::Protected,
        }
    }
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "users",
        Kind::Group => "groups",
        Kind::Alias => "aliases",
        Kind::Membership => "memberships",
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LimitExceeded { planned, allowed, population, .. } => write!(
                f,
                "{} allows {allowed} of {population} in one run, and {planned} are planned",
                self.limit().unwrap_or_default()
            ),
            Self::SourceShrunk { kind, before, now, allowed } => write!(
                f,
                "the source held {before} {} at the last read whose plan was not held and holds {now} now; it may \
                 lose {allowed}",
                plural(*kind)
            ),
            Self::ValuesVanished { kind, field, planned, allowed, population } => write!(
                f,
                "{planned} of the {population} {} that have {field} in the target would lose it, and {allowed} may; look \
                 at the mapping and at what the account may read",
                plural(*kind)
            ),
            Self::ApprovalRequired => f.write_str("the plan needs somebody's approval"),
            Self::NotApplied => f.write_str("the resource says apply: false"),
            Self::Unconfirmed => f.write_str("some removals could not be confirmed by a look-up in the source"),
            Self::Protected => f.write_str("some operations would remove protected people or groups"),
        }
    }
}

/// Why one operation is not sent in this run.
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
pub enum Waiting {
    /// It would remove somebody protected.
    Protected,
    /// It could not be confirmed.
    Unconfirmed,
    /// The resource says `apply: false`.
    NotApplied,
    /// It is not in the plan that was approved.
    NotInApprovedPlan,
    /// The plan needs somebody's approval.
    ApprovalRequired,
    /// A limit or the shrink guard holds it.
    Held,
    /// It needs the creation or adoption of an object that waits itself.
    NeedsAnother,
}
