//! The company in the directory of the tests and the demo: always the same people, with the oddities of real ones.

pub mod active_directory;
mod names;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io;

use base64::Engine as _;
use sha2::{Digest, Sha256};

use self::names::{DEPARTMENTS, FAMILY_NAMES, GIVEN_NAMES, TITLES};
use super::slapd::BASE_DN;

const UNITS: [&str; 2] = ["People", "Groups"];

/// People live in `ou=People`, groups in `ou=Groups`.
#[derive(Clone, Debug)]
pub struct Company {
    /// Everybody, each an `inetOrgPerson` and a `mailRecipient`.
    pub people: Vec<Person>,
    /// All groups, each a `groupOfNames` and a `mailRecipient`.
    pub groups: Vec<Group>,
}

/// A person; the comments name the attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// `uid`, which is also the name of the entry.
    pub uid: String,
    /// `givenName`
    pub given_name: String,
    /// `sn`
    pub family_name: String,
    /// `mail`
    pub mail: Option<String>,
    /// `mailAlternateAddress`
    pub aliases: Vec<String>,
    /// `ou`
    pub department: String,
    /// `title`
    pub title: String,
    /// `employeeNumber`
    pub number: usize,
    /// `employeeType`: `disabled` instead of `employee`.
    pub disabled: bool,
}

/// A group; the comments name the attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// `cn`, which is also the name of the entry.
    pub name: String,
    /// `mail`
    pub mail: String,
    /// `description`
    pub description: String,
    /// `member`: names of entries, of people as well as of groups.
    pub members: Vec<String>,
}

impl Company {
    /// Two hundred people in twenty groups. Among them somebody without an address, somebody whose account is disabled,
    /// somebody with a very long name, people with aliases and with letters beyond ASCII, a group of groups, and a group
    /// that still names somebody who is long gone.
    pub fn small() -> Self {
        let mut people = people(200);
        people[17].mail = None;
        people[23].disabled = true;
        people[42].given_name = String::from("Maximiliane Alexandra Theodora");
        people[42].family_name = String::from("von und zu Hohenstein-Wittgenstein-Oberlahnfels");
        people[61].aliases.push("info@example.com".to_owned());
        let groups = groups_of_a_small_company(&people);
        Self { people, groups }
    }

    /// A company of any size with groups of one size, for measurements.
    pub fn of_size(people_count: usize, group_count: usize, members_per_group: usize) -> Self {
        let people = people(people_count);
        let groups = (0..group_count)
            .map(|index| {
                let members = (0..members_per_group.min(people_count))
                    .map(|member| people[(index * members_per_group + member) % people_count].dn())
                    .collect();
                Group::new(&format!("group-{index:06}"), "A group", members)
            })
            .collect();
        Self { people, groups }
    }

    /// The person with this `uid`.
    pub fn person(&self, uid: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.uid == uid)
    }

    /// The group with this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Writes the entries with fixed `entryUUID`s, for `slapadd`. The entry of [`BASE_DN`] itself is not among them.
    pub fn write_ldif(&self, output: &mut impl io::Write) -> io::Result<()> {
        for unit in UNITS {
            writeln!(output, "{}", unit_ldif(unit))?;
        }
        for (dn, ldif) in self.entries() {
            writeln!(output, "{ldif}entryUUID: {}\n", entry_uuid(&dn))?;
        }
        Ok(())
    }

    /// The same entries without identities, for servers that give their own.
    pub fn ldif(&self) -> String {
        let units = UNITS.into_iter().map(unit_ldif);
        let records: Vec<String> = units.chain(self.entries().map(|(_, ldif)| ldif)).collect();
        records.join("\n")
    }

    fn entries(&self) -> impl Iterator<Item = (String, String)> {
        let people = self.people.iter().map(|person| (person.dn(), person.ldif()));
        people.chain(self.groups.iter().map(|group| (group.dn(), group.ldif())))
    }
}

impl Person {
    /// Somebody new in a department, with the address and the `uid` that the name makes.
    pub fn new(given_name: &str, family_name: &str, department: &str, number: usize) -> Self {
        let address = format!("{}.{}", ascii(given_name), ascii(family_name));
        Self {
            uid: address.clone(),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            mail: Some(format!("{address}@example.com")),
            aliases: Vec::new(),
            department: department.to_owned(),
            title: TITLES[number % TITLES.len()].to_owned(),
            number,
            disabled: false,
        }
    }

    /// The name of the entry.
    pub fn dn(&self) -> String {
        format!("uid={},ou=People,{BASE_DN}", self.uid)
    }

    /// `displayName`: the given name and the family name.
    pub fn display_name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }

    /// The `entryUUID` that [`Company::write_ldif`] gives; an entry added later gets one of the server's choice.
    pub fn entry_uuid(&self) -> String {
        entry_uuid(&self.dn())
    }

    /// The entry, ending with the line of its last attribute.
    pub fn ldif(&self) -> String {
        let number = self.number.to_string();
        let telephone = format!("+49 30 5550 {}", 1000 + self.number);
        let employment = if self.disabled { "disabled" } else { "employee" };
        let display_name = self.display_name();
        let mut lines = ldif_line("dn", &self.dn());
        let mut add = |attribute: &str, value: &str| lines.push_str(&ldif_line(attribute, value));
        for class in ["inetOrgPerson", "mailRecipient"] {
            add("objectClass", class);
        }
        add("uid", &self.uid);
        add("cn", &display_name);
        add("givenName", &self.given_name);
        add("sn", &self.family_name);
        add("displayName", &display_name);
        self.mail.iter().for_each(|mail| add("mail", mail));
        self.aliases.iter().for_each(|alias| add("mailAlternateAddress", alias));
        add("ou", &self.department);
        add("title", &self.title);
        add("telephoneNumber", &telephone);
        add("employeeNumber", &number);
        add("employeeType", employment);
        add("preferredLanguage", if self.number.is_multiple_of(3) { "en" } else { "de" });
        lines
    }
}

impl Group {
    /// A group with the address that its name makes. There must be a member: `groupOfNames` demands one.
    pub fn new(name: &str, description: &str, members: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            mail: format!("{}@example.com", ascii(name)),
            description: description.to_owned(),
            members,
        }
    }

    /// The name of the entry.
    pub fn dn(&self) -> String {
        format!("cn={},ou=Groups,{BASE_DN}", self.name)
    }

    /// The `entryUUID` that [`Company::write_ldif`] gives; an entry added later gets one of the server's choice.
    pub fn entry_uuid(&self) -> String {
        entry_uuid(&self.dn())
    }

    /// The entry, ending with the line of its last attribute.
    pub fn ldif(&self) -> String {
        let mut lines = ldif_line("dn", &self.dn());
        let mut add = |attribute: &str, value: &str| lines.push_str(&ldif_line(attribute, value));
        for class in ["groupOfNames", "mailRecipient"] {
            add("objectClass", class);
        }
        add("cn", &self.name);
        add("mail", &self.mail);
        add("description", &self.description);
        self.members.iter().for_each(|member| add("member", member));
        lines
    }
}

fn unit_ldif(unit: &str) -> String {
    format!("dn: ou={unit},{BASE_DN}\nobjectClass: organizationalUnit\nou: {unit}\n")
}

/// A line of LDIF; what it cannot say in plain letters is in base64 (RFC 2849).
pub(super) fn ldif_line(attribute: &str, value: &str) -> String {
    let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ');
    if plain {
        format!("{attribute}: {value}\n")
    } else {
        format!("{attribute}:: {}\n", base64::engine::general_purpose::STANDARD.encode(value))
    }
}

fn people(count: usize) -> Vec<Person> {
    let mut namesakes = HashMap::new();
    (0..count)
        .map(|index| {
            let given_name = GIVEN_NAMES[index % GIVEN_NAMES.len()];
            // Every round through the given names meets other family names.
            let family_name = FAMILY_NAMES[(index + index / GIVEN_NAMES.len() * 7) % FAMILY_NAMES.len()];
            let department = DEPARTMENTS[index * 5 % DEPARTMENTS.len()];
            let mut person = Person::new(given_name, family_name, department, index + 1);
            let namesake = namesakes.entry(person.uid.clone()).or_insert(0_usize);
            *namesake += 1;
            if *namesake > 1 {
                person.uid = format!("{}{namesake}", person.uid);
                person.mail = Some(format!("{}@example.com", person.uid));
            }
            if index % 9 == 4 {
                let initial: String = ascii(given_name).chars().take(1).collect();
                person.aliases.push(format!("{initial}.{}.{}@example.com", ascii(family_name), index + 1));
            }
            person
        })
        .collect()
}

fn groups_of_a_small_company(people: &[Person]) -> Vec<Group> {
    let mut by_department: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for person in people {
        by_department.entry(&person.department).or_default().push(person.dn());
    }
    let mut groups: Vec<Group> = by_department
        .into_iter()
        .map(|(department, members)| Group::new(department, &format!("Everybody in {department}"), members))
        .collect();
    let every = |step: usize, from: usize| people.iter().skip(from).step_by(step).map(Person::dn).collect::<Vec<_>>();
    let departments = groups.iter().map(Group::dn).collect();
    let mut newsletter = every(11, 3);
    newsletter.push(format!("uid=long.gone,ou=People,{BASE_DN}"));
    groups.push(Group::new("All Staff", "Every department", departments));
    groups.push(Group::new(
        "Works Council",
        "Betriebsrat: Anliegen der Belegschaft, auch für Außenstellen",
        every(40, 5),
    ));
    groups.push(Group::new("First Aid", "Who can help until the doctor comes", every(17, 2)));
    groups.push(Group::new("Fire Wardens", "Who clears the building", every(19, 7)));
    groups.push(Group::new("Project Aurora", "Across departments", every(13, 1)));
    groups.push(Group::new("Newsletter", "Who wanted to get it", newsletter));
    groups
}

/// The name of an entry decides, so that a company has the same identities in every run.
fn entry_uuid(dn: &str) -> String {
    let digest = Sha256::digest(dn.as_bytes());
    let hex = format!("{:032x}", digest.iter().take(16).fold(0, |number, &byte| number << 8 | u128::from(byte)));
    // Version 8, the one that says nothing about how it came about (RFC 9562 §5.8).
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// A name as it is spelt in an address.
fn ascii(name: &str) -> String {
    let mut spelt = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        let _ = match letter {
            'a'..='z' | '0'..='9' | '-' => write!(spelt, "{letter}"),
            ' ' => write!(spelt, "-"),
            'ä' | 'æ' => write!(spelt, "ae"),
            'ö' | 'ø' => write!(spelt, "oe"),
            'ü' => write!(spelt, "ue"),
            'å' => write!(spelt, "aa"),
            'ß' => write!(spelt, "ss"),
            'á' | 'à' | 'ã' => write!(spelt, "a"),
            'č' | 'ç' | 'ć' => write!(spelt, "c"),
            'é' | 'è' | 'ë' | 'ě' => write!(spelt, "e"),
            'í' | 'ï' | 'ı' => write!(spelt, "i"),
            'ł' => write!(spelt, "l"),
            'ñ' | 'ń' => write!(spelt, "n"),
            'ó' | 'ô' => write!(spelt, "o"),
            'ş' | 'š' => write!(spelt, "s"),
            'ú' => write!(spelt, "u"),
            'ž' => write!(spelt, "z"),
            _ => Ok(()),
        };
    }
    spelt
}
