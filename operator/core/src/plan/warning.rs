//! What a person should know about a plan, beside its operations.

use crate::capabilities::Field;
use crate::operation::Kind;

/// How many examples a warning carries.
pub const SAMPLES: usize = 10;

/// What a warning is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, strum::IntoStaticStr,
)]
pub enum WarningKind {
    /// Several people of the source have one primary address; neither is touched.
    AddressShared,
    /// Several entries of the source have one immutable id; neither is touched.
    IdShared,
    /// Several objects of the target bear one external id; neither is touched.
    ExternalIdShared,
    /// Entries without their immutable id were left out of the read.
    WithoutId,
    /// People without an address; they are not created.
    WithoutAddress,
    /// Members of groups that are nobody in the read.
    UnresolvedMembers,
    /// Addresses outside the accepted domains.
    ForeignDomain,
    /// The address, or the name of a group without address, belongs to another object of the target.
    AddressTaken,
    /// An object of the target bears the source's id, and the adoption policy leaves it alone.
    NotAdopted,
    /// The target has no place for this field.
    NoPlaceFor(Field),
    /// Groups within groups; the target cannot hold them.
    NestedGroupsLeftOut,
    /// Members that are not managed stay in managed groups.
    UnmanagedMembersKept,
    /// People who are no longer in the source stay, by the removal policy.
    UserKept,
    /// Groups that are no longer in the source stay, by the removal policy.
    GroupKept,
    /// Protected people or groups would have been removed.
    ProtectedKept,
    /// Inactive people of the source that the target does not have.
    DisabledNotCreated,
    /// Groups whose members could not be read; their memberships stay.
    MembersUnknown,
    /// Missing in the read, and found again when looked up; they stay.
    StillThere,
    /// Values that were left out of the read because they are no text, no address, or too long.
    MalformedValues,
}

impl WarningKind {
    /// The stable PascalCase name.
    pub fn reason(self) -> &'static str {
        self.into()
    }

    /// One clause for people, to follow a count.
    pub fn explanation(self) -> String {
        match self {
            Self::AddressShared => "people share a primary address with another person of the source; none of them is \
                                    touched until the source is mended"
                .to_owned(),
            Self::IdShared => "entries of the source share an immutable id; none of them is touched".to_owned(),
            Self::ExternalIdShared => "objects of the target bear one external id; none of them is touched until all \
                                       but one are removed or unmarked there"
                .to_owned(),
            Self::WithoutId => "entries have no immutable id and were left out".to_owned(),
            Self::WithoutAddress => "people have no address and are not created".to_owned(),
            Self::UnresolvedMembers => "members of groups are nobody that was read".to_owned(),
            Self::ForeignDomain => "addresses lie outside the accepted domains".to_owned(),
            Self::AddressTaken => "addresses or group names belong to another object of the target, which is left \
                                   alone"
                .to_owned(),
            Self::NotAdopted => "objects of the target bear an id of this source but are not remembered as ours; the \
                                 adoption policy leaves them alone"
                .to_owned(),
            Self::NoPlaceFor(field) => {
                format!("values of {field} are left out, because the target has no place for it")
            }
            Self::NestedGroupsLeftOut => {
                "groups within groups are left out, because the target cannot hold them".to_owned()
            }
            Self::UnmanagedMembersKept => "members of managed groups are not managed and stay".to_owned(),
            Self::UserKept => "people are no longer in the source and stay, as the removal policy says".to_owned(),
            Self::GroupKept => "groups are no longer in the source and stay, as the removal policy says".to_owned(),
            Self::ProtectedKept => "removals were left out, because they concern protected people or groups".to_owned(),
            Self::DisabledNotCreated => "people are inactive in the source and are not created".to_owned(),
            Self::MembersUnknown => "groups keep their members, because their members could not be read".to_owned(),
            Self::StillThere => "removals were dropped, because the source still has them when asked again".to_owned(),
            Self::MalformedValues => {
                "values of the source are no text, no address, or too long, and were left out".to_owned()
            }
        }
    }
}

/// One kind of warning with how often it applies and a few examples.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// What kind of object it concerns, where that is not clear from the warning.
    pub object: Kind,
    /// How often it applies.
    pub count: u64,
    /// The first few it applies to (addresses, names or ids). Personal data.
    pub samples: Vec<String>,
}

impl std::fmt::Display for Warning {
    /// One sentence without personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {}", self.kind.reason(), self.count, self.kind.explanation())
    }
}

/// The warnings of one plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Warnings(Vec<Warning>);

impl Warnings {
    pub(crate) fn add(&mut self, kind: WarningKind, object: Kind, sample: &str) {
        self.count(kind, object, 1, sample);
    }

    pub(crate) fn count(&mut self, kind: WarningKind, object: Kind, count: u64, sample: &str) {
        if count == 0 {
            return;
        }
        let at = self.0.iter().position(|warning| (warning.kind, warning.object) == (kind, object));
        let at = at.unwrap_or_else(|| {
            self.0.push(Warning { kind, object, count: 0, samples: Vec::new() });
            self.0.len() - 1
        });
        if let Some(warning) = self.0.get_mut(at) {
            warning.count += count;
            if !sample.is_empty() && warning.samples.len() < SAMPLES {
                warning.samples.push(sample.to_owned());
            }
        }
    }

    pub(crate) fn sort(&mut self) {
        self.0.sort_by_key(|warning| (warning.kind, warning.object));
        for warning in &mut self.0 {
            warning.samples.sort();
        }
    }

    /// The warnings, one per kind.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Warning> {
        self.0.iter()
    }

    /// Whether there is nothing to warn of.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of this kind there are.
    pub fn of(&self, kind: WarningKind) -> u64 {
        self.0.iter().filter(|warning| warning.kind == kind).map(|warning| warning.count).sum()
    }
}
