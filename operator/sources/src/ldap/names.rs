//! By what groups know people, beside their names in the tree: by login (RFC 2307), and by the primary group of Active
//! Directory, which is written at the person alone.

use super::dn;
use directory_sync_core::mapping::{Entry, GroupMapping, UserMapping, same_attribute};
use directory_sync_core::snapshot::{Reference, Referencer};
use std::collections::{HashMap, HashSet};

const LOGIN: &str = "uid";
pub(super) const SID: &str = "objectSid";
pub(super) const PRIMARY_GROUP: &str = "primaryGroupID";

/// Whether the values of a member attribute are logins (`memberUid`), not names in the tree.
pub(super) fn names_logins(attribute: &str) -> bool {
    same_attribute(attribute, "memberUid")
}

/// How a group names a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberName {
    /// By its name in the tree.
    Tree(Reference),
    /// By its login.
    Login(Reference),
}

/// The members that the values of this attribute name.
pub(super) fn members(referencer: &Referencer, attribute: &str) -> impl Fn(&[u8]) -> MemberName {
    let are_logins = names_logins(attribute);
    move |value| {
        if are_logins {
            MemberName::Login(login(referencer, value))
        } else {
            MemberName::Tree(referencer.reference(&dn::member_normal_form(value)))
        }
    }
}

/// A login as a reference that no name in the tree can have. Its case counts (RFC 2307 §3, `memberUid`).
fn login(referencer: &Referencer, value: &[u8]) -> Reference {
    referencer.reference(&[b"\0login ", value.trim_ascii()].concat())
}

/// A security identifier as a reference that no name in the tree can have.
pub(super) fn identifier(referencer: &Referencer, sid: &str) -> Reference {
    referencer.reference(format!("\0sid {sid}").as_bytes())
}

/// What is asked for of people beyond their mapping, and where it stands among the values.
#[derive(Debug, Default)]
pub(super) struct PersonAttributes {
    /// Everything to ask for; the mapping's come first.
    pub(super) all: Vec<String>,
    login: Option<usize>,
    primary_group: Option<(usize, usize)>,
}

impl PersonAttributes {
    /// What these mappings need, and primary groups if wanted.
    pub(super) fn new(people: &UserMapping, groups: Option<&GroupMapping>, primary_groups: bool) -> Self {
        let mut all = people.attributes().to_vec();
        let by_login = groups.is_some_and(|groups| groups.member_attributes().any(names_logins));
        let login = by_login.then(|| place(&mut all, LOGIN));
        let primary_group = primary_groups.then(|| (place(&mut all, SID), place(&mut all, PRIMARY_GROUP)));
        Self { all, login, primary_group }
    }

    /// The logins of a person.
    pub(super) fn logins(&self, referencer: &Referencer, entry: &Entry<'_>) -> Vec<Reference> {
        let values = self.login.and_then(|place| entry.values.get(place)).map(Vec::as_slice).unwrap_or_default();
        values.iter().map(|value| login(referencer, value)).collect()
    }

    /// The primary group of a person.
    pub(super) fn primary_group(&self, referencer: &Referencer, entry: &Entry<'_>) -> Option<Reference> {
        let (sid, group) = self.primary_group?;
        let text = |place: usize| std::str::from_utf8(entry.values.get(place)?.first()?).ok();
        // It is in the same domain: the same identifier but for its last part (MS-SAMR §3.1.1.8.2).
        let (domain, _) = text(sid)?.rsplit_once('-')?;
        Some(identifier(referencer, &format!("{domain}-{}", text(group)?.parse::<u32>().ok()?)))
    }
}

/// The place of an attribute among those asked for, to which it is added if it is missing.
pub(super) fn place(all: &mut Vec<String>, name: &str) -> usize {
    all.iter().position(|known| same_attribute(known, name)).unwrap_or_else(|| {
        all.push(name.to_owned());
        all.len() - 1
    })
}

/// The people of one read by what groups know them by.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By name in the tree, everybody whom the searches found, whether chosen or not; `None`: nobody asks.
    people: Option<HashSet<Reference>>,
    /// `None`: several people have this login, and it is nobody's.
    logins: HashMap<Reference, Option<Reference>>,
    primary_groups: HashMap<Reference, Vec<Reference>>,
    /// Groups that only pass their members on, with their names as written.
    pub(super) passing_on: HashMap<Reference, String>,
}

impl Names {
    /// Begins; who is a person is noted only if that will be asked.
    pub(super) fn new(keeps_people: bool) -> Self {
        Self { people: keeps_people.then(HashSet::new), ..Self::default() }
    }

    /// Notes that the searches found this person.
    pub(super) fn saw(&mut self, person: Reference) {
        if let Some(people) = &mut self.people {
            people.insert(person);
        }
    }

    /// Whether the searches found a person of this name. Nobody, if that was not noted.
    pub(super) fn is_person(&self, name: Reference) -> bool {
        self.people.as_ref().is_some_and(|people| people.contains(&name))
    }

    /// How many names there are beside those in the tree.
    pub(super) fn count(&self) -> usize {
        self.logins.len()
    }

    /// Notes a person.
    pub(super) fn add(&mut self, person: Reference, logins: Vec<Reference>, primary_group: Option<Reference>) {
        for login in logins {
            let known = self.logins.entry(login).or_insert(Some(person));
            if *known != Some(person) {
                *known = None;
            }
        }
        if let Some(group) = primary_group {
            self.primary_groups.entry(group).or_default().push(person);
        }
    }

    /// The member by its name in the tree. A login that is nobody's stays one that nobody has.
    pub(super) fn resolve(&self, member: MemberName) -> Reference {
        match member {
            MemberName::Tree(reference) => reference,
            MemberName::Login(login) => self.logins.get(&login).copied().flatten().unwrap_or(login),
        }
    }

    /// Who has this group as primary group.
    pub(super) fn with_primary_group(&self, group: Reference) -> &[Reference] {
        self.primary_groups.get(&group).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_of_two_people_is_nobodys() {
        let referencer = Referencer::default();
        let [ada, bob] = ["uid=ada", "uid=bob"].map(|name| referencer.reference(name.as_bytes()));
        let from_group = members(&referencer, "MemberUID");
        let mut names = Names::default();
        names.add(ada, vec![login(&referencer, b"ada"), login(&referencer, b"root")], None);
        names.add(bob, vec![login(&referencer, b"root")], None);
        assert_eq!(names.resolve(from_group(b"ada")), ada);
        assert!(![ada, bob].contains(&names.resolve(from_group(b"root"))));
        assert_eq!(
            names.resolve(members(&referencer, "member")(b"uid=Bob")),
            referencer.reference(&dn::normal_form(b"uid=bob"))
        );
    }
}
