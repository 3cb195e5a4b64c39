//! What a person should know about a plan, beside its operations.

use crate::capabilities::Field;
use crate::operation::Kind;
use crate::password::{PasswordScheme, UnusablePassword};

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
    /// The address belongs to a person of the target who is to get another one in this plan or a later one.
    AddressNotYetFree,
    /// People want each other's addresses in a circle; each stays as it is.
    AddressesInCircle,
    /// An object of the target bears the source's id, and the adoption policy leaves it alone.
    NotAdopted,
    /// The target has no place for this field.
    NoPlaceFor(Field),
    /// Groups within groups; the target cannot hold them.
    NestedGroupsLeftOut,
    /// Groups within groups, whose people became direct members because the target knows no nesting.
    NestedGroupsFlattened,
    /// Groups that contain themselves, directly or through others.
    GroupInItself,
    /// Groups of the source that are not synchronised themselves and pass their members on to the groups they are in.
    GroupPassesOn,
    /// A filter of the source tests an attribute that is mapped.
    FilterOnMapped,
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
    /// Values that were left out of the read because they are no text, no address, too many or too long, and
    /// expressions that came to no result.
    MalformedValues,
    /// Further addresses that are none of mail (`sip:`, `x400:`, `x500:`); they are passed over.
    OtherAddresses,
    /// What this field should be could not be told; it stays as it is in the target.
    FieldUnknown(Field),
    /// Passwords written in a way that the target does not take; they are not sent.
    PasswordNotTaken(PasswordScheme),
    /// Passwords written in a way that no target takes; they are not sent.
    PasswordUnusable(UnusablePassword),
    /// Nobody in the source has a value of this field, and it was never seen there; what the target holds stays.
    FieldVanished(Field),
}

impl WarningKind {
    /// The stable PascalCase name.
    pub fn reason(self) -> &'static str {
        self.into()
    }

    /// Whether it only says what is usual, so that there is nothing to be mended.
    pub fn is_information(self) -> bool {
        matches!(self, Self::OtherAddresses | Self::GroupPassesOn)
    }

    /// What applies to so many objects, as one clause for people that begins with the count.
    pub fn explanation(self, count: u64) -> String {
        let (one, many) = self.clauses();
        let clause = if count == 1 { one } else { many };
        let field = match self {
            Self::NoPlaceFor(field) | Self::FieldUnknown(field) | Self::FieldVanished(field) => field.to_string(),
            Self::PasswordNotTaken(scheme) => scheme.to_string(),
            Self::PasswordUnusable(unusable) => unusable.to_string(),
            _ => String::new(),
        };
        format!("{count} {}", clause.replace("FIELD", &field))
    }

    /// The clause for one and for several. `FIELD` stands for the name of a field, or of a scheme of passwords.
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn clauses(self) -> (&'static str, &'static str) {
        match self {
            Self::AddressShared => (
                "person shares a primary address with another person of the source and is not touched until the source \
                 is mended",
                "people share a primary address with another person of the source; none of them is touched until the \
                 source is mended",
            ),
            Self::IdShared => (
                "entry of the source shares its immutable id with another and is not touched",
                "entries of the source share an immutable id; none of them is touched",
            ),
            Self::ExternalIdShared => (
                "object of the target bears an external id that another bears too, and is not touched",
                "objects of the target bear one external id; none of them is touched until all but one are removed or \
                 unmarked there",
            ),
            Self::WithoutId => {
                ("entry has no immutable id and was left out", "entries have no immutable id and were left out")
            }
            Self::WithoutAddress => {
                ("person has no address and is not created", "people have no address and are not created")
            }
            Self::UnresolvedMembers => {
                ("member of a group is nobody that was read", "members of groups are nobody that was read")
            }
            Self::ForeignDomain => {
                ("address lies outside the accepted domains", "addresses lie outside the accepted domains")
            }
            Self::AddressTaken => (
                "address or group name belongs to another object of the target, which is left alone",
                "addresses or group names belong to other objects of the target, which are left alone",
            ),
            Self::AddressNotYetFree => (
                "address still belongs to a person of the target who is to get another one; a plan after that gives it \
                 away",
                "addresses still belong to people of the target who are to get other ones; a plan after that gives \
                 them away",
            ),
            Self::AddressesInCircle => (
                "person wants the address of somebody who waits for this one's own",
                "people want each other's addresses in a circle, and all keep what they have: give one of them another \
                 address for a while, in the source or in the target",
            ),
            Self::NotAdopted => (
                "object of the target bears an id of this source but is not remembered as ours; the adoption policy \
                 leaves it alone",
                "objects of the target bear an id of this source but are not remembered as ours; the adoption policy \
                 leaves them alone",
            ),
            Self::NoPlaceFor(_) => (
                "value of FIELD is left out, because the target has no place for it",
                "values of FIELD are left out, because the target has no place for them",
            ),
            Self::NestedGroupsLeftOut => (
                "group within a group is left out, because the target cannot hold it",
                "groups within groups are left out, because the target cannot hold them",
            ),
            Self::NestedGroupsFlattened => (
                "group within a group was replaced by the people in it, because the target cannot hold it",
                "groups within groups were replaced by the people in them, because the target cannot hold them",
            ),
            Self::GroupInItself => (
                "group contains itself, directly or through other groups; mend it in the source",
                "groups contain themselves, directly or through other groups; mend them in the source",
            ),
            Self::GroupPassesOn => (
                "group has no address, or one elsewhere, is not synchronised itself, and passes its members on to the \
                 groups that it is in",
                "groups have no address, or one elsewhere, are not synchronised themselves, and pass their members on to \
                 the groups that they are in",
            ),
            Self::FilterOnMapped => (
                "filter tests an attribute that is mapped; whoever loses it, or hides it from the account, looks like a \
                 leaver: filter on something else",
                "filters test an attribute that is mapped; whoever loses it, or hides it from the account, looks like a \
                 leaver: filter on something else",
            ),
            Self::UnmanagedMembersKept => (
                "member of a managed group is not managed and stays",
                "members of managed groups are not managed and stay",
            ),
            Self::UserKept => (
                "person is no longer in the source and stays, as the removal policy says",
                "people are no longer in the source and stay, as the removal policy says",
            ),
            Self::GroupKept => (
                "group is no longer in the source and stays, as the removal policy says",
                "groups are no longer in the source and stay, as the removal policy says",
            ),
            Self::ProtectedKept => (
                "removal was left out, because it concerns a protected person or group",
                "removals were left out, because they concern protected people or groups",
            ),
            Self::DisabledNotCreated => (
                "person is inactive in the source and is not created",
                "people are inactive in the source and are not created",
            ),
            Self::MembersUnknown => (
                "group keeps its members, because its members could not be read",
                "groups keep their members, because their members could not be read",
            ),
            Self::StillThere => (
                "removal was dropped, because the source still has it when asked again",
                "removals were dropped, because the source still has them when asked again",
            ),
            Self::MalformedValues => (
                "value of the source is no text, no address, too long, or could not be computed, and was left out",
                "values of the source are no text, no address, too long, or could not be computed, and were left out",
            ),
            Self::OtherAddresses => (
                "further address is of another kind than mail (sip, x400, x500) and is passed over",
                "further addresses are of other kinds than mail (sip, x400, x500) and are passed over",
            ),
            Self::FieldUnknown(_) => (
                "value of FIELD cannot be told from the source and stays as it is in the target",
                "values of FIELD cannot be told from the source and stay as they are in the target",
            ),
            Self::PasswordNotTaken(_) => (
                "password is not sent, because the target does not take FIELD",
                "passwords are not sent, because the target does not take FIELD",
            ),
            Self::PasswordUnusable(_) => (
                "password is not sent, because no target takes FIELD",
                "passwords are not sent, because no target takes FIELD",
            ),
            Self::FieldVanished(_) => (
                "value of FIELD stays in the target, because nobody in the source has any: look at the mapping and at \
                 what the account may read",
                "values of FIELD stay in the target, because nobody in the source has any: look at the mapping and at \
                 what the account may read",
            ),
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
        write!(f, "{}: {}", self.kind.reason(), self.kind.explanation(self.count))
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

    /// Takes over the warnings of a read.
    pub(crate) fn extend(&mut self, others: &Self) {
        for warning in others.iter() {
            self.count(warning.kind, warning.object, warning.count, "");
            if let Some(known) = self.0.iter_mut().find(|w| (w.kind, w.object) == (warning.kind, warning.object)) {
                known.samples.extend(warning.samples.iter().cloned());
                known.samples.truncate(SAMPLES);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_told_in_the_singular() {
        let warning = |kind, count| Warning { kind, object: Kind::User, count, samples: Vec::new() }.to_string();
        assert_eq!(
            warning(WarningKind::WithoutAddress, 1),
            "WithoutAddress: 1 person has no address and is not created"
        );
        assert_eq!(
            warning(WarningKind::NoPlaceFor(Field::OrgUnit), 2),
            "NoPlaceFor: 2 values of orgUnit are left out, because the target has no place for them"
        );
    }
}
