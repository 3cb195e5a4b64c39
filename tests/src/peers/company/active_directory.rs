//! The company as Active Directory holds it, large enough for a group that no server gives out in one answer.
//!
//! Here is what is regular. The oddities are in `tests/peers/samba/oddities.ldif`, each with its comment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use super::{Person, ldif_line, people};

/// The name of the domain.
pub const BASE_DN: &str = "DC=ad,DC=example,DC=test";
/// Where the regular people are.
pub const STAFF_DN: &str = "OU=Staff,DC=ad,DC=example,DC=test";
/// Where the regular groups are.
pub const GROUPS_DN: &str = "OU=Groups,DC=ad,DC=example,DC=test";
/// Where everything is that is not regular.
pub const ODDITIES_DN: &str = "OU=Oddities,DC=ad,DC=example,DC=test";
/// The group of the first [`LARGE_GROUP_SIZE`] regular people.
pub const LARGE_GROUP_DN: &str = "CN=Everybody On Site,OU=Groups,DC=ad,DC=example,DC=test";
/// More than the 1,500 values that Active Directory gives out at once.
pub const LARGE_GROUP_SIZE: usize = 1_800;
/// The group whose members are the groups of the departments.
pub const ALL_STAFF_DN: &str = "CN=All Staff,OU=Groups,DC=ad,DC=example,DC=test";

/// The regular people: 2,000, of whom every tenth is disabled, and a few have an alias.
pub static STAFF: LazyLock<Vec<Person>> = LazyLock::new(|| {
    let mut people = people(2_000);
    for person in &mut people {
        person.disabled = person.number % 10 == 0;
    }
    people
});

/// The name of a regular person's entry, family name first, as the programs of the vendor make it.
pub fn dn(person: &Person) -> String {
    format!("CN={}\\, {} {:04},{STAFF_DN}", person.family_name, person.given_name, person.number)
}

/// A regular person's `sAMAccountName`.
pub fn account_name(person: &Person) -> String {
    format!("u{:04}", person.number)
}

/// A regular person's `proxyAddresses`: the primary address, the aliases, and what belongs to other systems.
pub fn proxy_addresses(person: &Person) -> Vec<String> {
    let Some(mail) = &person.mail else { return Vec::new() };
    let mut addresses = vec![format!("SMTP:{mail}")];
    addresses.extend(person.aliases.iter().map(|alias| format!("smtp:{alias}")));
    if person.number.is_multiple_of(3) {
        addresses.push(format!("sip:{mail}"));
    }
    if person.number.is_multiple_of(5) {
        addresses.push(format!("X400:c=DE;a= ;p=Example;o=Exchange;s={};", account_name(person)));
    }
    if person.number.is_multiple_of(7) {
        addresses.push(format!("x500:/o=Example/ou=First Administrative Group/cn={}", account_name(person)));
    }
    // The primary address is not always the first value.
    if person.number.is_multiple_of(2) {
        addresses.reverse();
    }
    addresses
}

/// The regular part of the domain as change records.
pub fn ldif() -> String {
    let mut records = String::new();
    for unit in [STAFF_DN, GROUPS_DN] {
        record(&mut records, unit, "organizationalUnit", &[]);
    }
    let mut departments: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for person in STAFF.iter() {
        departments.entry(&person.department).or_default().push(dn(person));
        record_person(&mut records, person);
    }
    let groups: Vec<String> = departments.keys().map(|name| format!("CN={name},{GROUPS_DN}")).collect();
    for (department, members) in &departments {
        record_group(&mut records, &format!("CN={department},{GROUPS_DN}"), department, members);
    }
    record_group(&mut records, ALL_STAFF_DN, "All Staff", &groups);
    let on_site: Vec<String> = STAFF.iter().take(LARGE_GROUP_SIZE).map(dn).collect();
    record_group(&mut records, LARGE_GROUP_DN, "Everybody On Site", &on_site);
    records
}

fn record_person(records: &mut String, person: &Person) {
    let mail = person.mail.as_deref().unwrap_or_default();
    // A normal account (512), disabled (2).
    let control = if person.disabled { "514" } else { "512" };
    let (account, number, display_name) = (account_name(person), person.number.to_string(), person.display_name());
    let proxy_addresses = proxy_addresses(person);
    let mut lines = vec![
        ("sAMAccountName", account.as_str()),
        ("userAccountControl", control),
        ("givenName", &person.given_name),
        ("sn", &person.family_name),
        ("displayName", &display_name),
        ("department", &person.department),
        ("title", &person.title),
        ("employeeID", &number),
        ("mail", mail),
        ("mailNickname", &account),
        // A mailbox of a person.
        ("msExchRecipientTypeDetails", "1"),
    ];
    lines.extend(proxy_addresses.iter().map(|address| ("proxyAddresses", address.as_str())));
    record(records, &dn(person), "user", &lines);
}

fn record_group(records: &mut String, dn: &str, name: &str, members: &[String]) {
    let account = name.replace(' ', ".").to_lowercase();
    let mail = format!("{account}@example.com");
    let proxy_address = format!("SMTP:{mail}");
    let mut lines = vec![
        ("sAMAccountName", account.as_str()),
        // A universal security group.
        ("groupType", "-2147483640"),
        ("displayName", name),
        ("mail", &mail),
        ("mailNickname", &account),
        ("proxyAddresses", &proxy_address),
    ];
    lines.extend(members.iter().map(|member| ("member", member.as_str())));
    record(records, dn, "group", &lines);
}

fn record(records: &mut String, dn: &str, class: &str, lines: &[(&str, &str)]) {
    let _ = write!(records, "{}changetype: add\nobjectClass: {class}\n", ldif_line("dn", dn));
    for (attribute, value) in lines {
        records.push_str(&ldif_line(attribute, value));
    }
    records.push('\n');
}
