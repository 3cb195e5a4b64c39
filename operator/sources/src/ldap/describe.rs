//! What a server says of itself, and where an entry is, for people who set a source up.

use super::config::{Bind, Scope, Search};
use super::connection::Request;
use super::directory::Directory;
use super::error::LdapError;
use super::guard::EntrySink;
use super::{dn, filter};
use crate::{Encryption, Fact, Sighting, SourceDescription};
use directory_sync_core::mapping::Entry;
use directory_sync_core::operation::Kind;
use directory_sync_core::snapshot::{GroupRecord, UserRecord};

/// Most entries that one look-up shows.
const SIGHTINGS: i32 = 20;

const ROOT: [&str; 6] =
    ["vendorName", "vendorVersion", "supportedCapabilities", "supportedControl", "objectClass", "dnsHostName"];
/// The paged results control (RFC 2696).
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// `LDAP_CAP_ACTIVE_DIRECTORY_OID` and `LDAP_CAP_ACTIVE_DIRECTORY_ADAM_OID` (MS-ADTS §3.1.1.3.4.3).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
const LIGHTWEIGHT: &str = "1.2.840.113556.1.4.1851";

/// What answers, as whom it is read, and how much it gives at once.
pub(super) async fn describe(directory: &mut Directory<'_>) -> Result<SourceDescription, LdapError> {
    let config = directory.config;
    let trees = directory.root().await?.naming_contexts;
    let mut root = Root { wanted: ROOT.map(str::to_owned), values: Default::default() };
    let request = Request { base: "", scope: Scope::Base, filter: "(objectClass=*)", page: None, size_limit: 0 };
    match directory.connection.search(&request, &mut root).await {
        Ok(_) | Err(LdapError::BaseNotFound { .. } | LdapError::AccessDenied { .. }) => {}
        Err(error) => return Err(error),
    }
    let account = match &config.bind {
        Bind::Anonymous => "anonymous",
        Bind::Simple { username, .. } => username,
        Bind::External => "that of the client certificate",
    };
    let mut facts = vec![Fact { name: "account", value: account.to_owned() }];
    let [.., host] = &root.values;
    facts.extend(host.first().map(|host| Fact { name: "host", value: host.clone() }));
    if !trees.is_empty() {
        facts.push(Fact { name: "trees", value: trees.join("; ") });
    }
    if !root.says(3, PAGED_RESULTS) {
        facts.push(Fact { name: "paging", value: "the server does not say that it can send pages".to_owned() });
    }
    for (field, search) in searches(&config.users, "users").chain(searches(&config.groups, "groups")) {
        let value = first_page(directory, search).await?;
        facts.push(Fact { name: "page", value: format!("{field}: {value}") });
    }
    let own_authority = config.tls.ca_bundle.is_some();
    Ok(SourceDescription {
        server: directory.connection.url().to_owned(),
        product: root.product(),
        encryption: directory.connection.encryption().map(|found| Encryption { own_authority, ..found }),
        facts,
    })
}

fn searches<'s>(searches: &'s [Search], kind: &'static str) -> impl Iterator<Item = (String, &'s Search)> {
    searches.iter().enumerate().map(move |(index, search)| (format!("{kind}[{index}]"), search))
}

/// How many entries come when a page is asked for: servers have limits of their own.
async fn first_page(directory: &mut Directory<'_>, search: &Search) -> Result<String, LdapError> {
    let asked = directory.config.page_size;
    let Search { base_dn, scope, filter } = search;
    let request = Request { base: base_dn, scope: *scope, filter, page: Some((asked, Vec::new())), size_limit: 0 };
    let mut names = Names::default();
    let end = directory.connection.search(&request, &mut names).await?;
    let more = match end.cookie {
        Some(cookie) if !cookie.is_empty() => "and more follow",
        _ => "and that is all",
    };
    Ok(format!("{asked} entries asked for, {} came, {more}", names.0.len()))
}

/// Looks everywhere in the trees of the searches for entries that have this text in one of the attributes that are
/// mapped, or as their DN.
pub(super) async fn find(directory: &mut Directory<'_>, text: &str) -> Result<Vec<Sighting>, LdapError> {
    let config = directory.config;
    let mut sightings = Vec::new();
    let users = &*config.user_mapping;
    let record = |entry: &Entry<'_>| {
        let mut record = UserRecord::default();
        // An entry without an id stays without one.
        let _ = users.map(entry, &mut record, &mut 0);
        record.id
    };
    let found = entries(directory, &config.users, users.attributes(), &[], text, record).await?;
    for (name, id) in found {
        sightings.push(sighting(directory, Kind::User, "users", &config.users, name, id).await?);
    }
    if let Some(groups) = config.group_mapping.as_deref() {
        let members: Vec<&str> = groups.member_attributes().collect();
        let record = |entry: &Entry<'_>| {
            let mut record = GroupRecord::default();
            let _ = groups.map(entry, &mut record, &mut 0);
            record.id
        };
        let found = entries(directory, &config.groups, groups.attributes(), &members, text, record).await?;
        for (name, id) in found {
            sightings.push(sighting(directory, Kind::Group, "groups", &config.groups, name, id).await?);
        }
    }
    // An entry is a person or a group: what a search selects, or else what one passes over.
    sightings.sort_by_key(|found| (found.selected_by.is_empty(), found.passed_over_by.is_empty(), found.kind));
    let mut seen: Vec<String> = Vec::new();
    sightings.retain(|found| {
        let is_new = !seen.contains(&found.name);
        seen.push(found.name.clone());
        is_new
    });
    Ok(sightings)
}

/// Names and ids of the entries that have the text, in the trees that hold the bases.
async fn entries(
    directory: &mut Directory<'_>,
    searches: &[Search],
    attributes: &[String],
    but: &[&str],
    text: &str,
    id: impl Fn(&Entry<'_>) -> String + Send,
) -> Result<Vec<(String, String)>, LdapError> {
    let mut sink = Entries { wanted: attributes, found: Vec::new(), id };
    let tests = attributes.iter().filter(|attribute| !but.contains(&attribute.as_str()));
    let syntaxes = directory.syntaxes();
    let equals = |attribute: &str, text: &str| filter::equals(&syntaxes, attribute, text);
    let mut tests: Vec<String> = tests.filter_map(|attribute| equals(attribute, text)).collect();
    tests.extend(equals("proxyAddresses", &format!("smtp:{text}")));
    let any = format!("(|{})", tests.concat());
    let roots = directory.tops(searches).await?;
    let below = roots.iter().map(|root| (root.as_str(), Scope::Subtree, any.as_str()));
    let itself = text.contains('=').then_some((text, Scope::Base, "(objectClass=*)"));
    for (base, scope, filter) in below.chain(itself) {
        let request = Request { base, scope, filter, page: None, size_limit: SIGHTINGS };
        match directory.connection.search(&request, &mut sink).await {
            Ok(_) | Err(LdapError::BaseNotFound { .. } | LdapError::BaseInvalid { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sink.found)
}

async fn sighting(
    directory: &mut Directory<'_>,
    kind: Kind,
    field: &'static str,
    searches: &[Search],
    name: String,
    id: String,
) -> Result<Sighting, LdapError> {
    let form = dn::normal_form(name.as_bytes());
    let (mut selected_by, mut passed_over_by) = (Vec::new(), Vec::new());
    for (field, search) in self::searches(searches, field) {
        let base = dn::normal_form(search.base_dn.as_bytes());
        let covered = match search.scope {
            Scope::Base => form == base,
            Scope::OneLevel => dn::is_directly_below(&form, &base),
            Scope::Subtree => dn::is_within(&form, &base),
        };
        if !covered {
            continue;
        }
        let mut found = Names::default();
        let Search { filter, .. } = search;
        let request = Request { base: &name, scope: Scope::Base, filter, page: None, size_limit: 0 };
        directory.connection.search(&request, &mut found).await?;
        if found.0.is_empty() {
            passed_over_by.push(format!("{field}, by its filter {filter}"));
        } else {
            selected_by.push(field);
        }
    }
    Ok(Sighting { kind, name, id, selected_by, passed_over_by })
}

/// Takes names.
#[derive(Default)]
struct Names(Vec<String>);

impl EntrySink for Names {
    fn attributes(&self) -> &[String] {
        &[]
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        self.0.push(entry.name.to_owned());
        Ok(())
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}

/// Takes names with ids.
struct Entries<'w, F> {
    wanted: &'w [String],
    found: Vec<(String, String)>,
    id: F,
}

impl<F: Fn(&Entry<'_>) -> String + Send> EntrySink for Entries<'_, F> {
    fn attributes(&self) -> &[String] {
        self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        if !self.found.iter().any(|(name, _)| name == entry.name) {
            self.found.push((entry.name.to_owned(), (self.id)(entry)));
        }
        Ok(())
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}

/// Takes what the root of the tree says of the server (RFC 4512 §5.1, RFC 3045).
struct Root {
    wanted: [String; 6],
    values: [Vec<String>; 6],
}

impl Root {
    fn says(&self, place: usize, value: &str) -> bool {
        self.values.get(place).is_some_and(|values| values.iter().any(|found| found == value))
    }

    fn product(&self) -> Option<String> {
        let [name, version, ..] = &self.values;
        let vendor = name.iter().chain(version).cloned().collect::<Vec<_>>().join(" ");
        let family = if self.says(2, LIGHTWEIGHT) {
            "Active Directory Lightweight Directory Services"
        } else if self.says(2, ACTIVE_DIRECTORY) {
            "Active Directory"
        } else if self.says(4, "OpenLDAProotDSE") {
            "OpenLDAP"
        } else {
            ""
        };
        match (family, vendor.as_str()) {
            ("", "") => None,
            ("", vendor) => Some(vendor.to_owned()),
            (family, "") => Some(family.to_owned()),
            (family, vendor) => Some(format!("{family} ({vendor})")),
        }
    }
}

impl EntrySink for Root {
    fn attributes(&self) -> &[String] {
        &self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        for (texts, values) in self.values.iter_mut().zip(entry.values) {
            *texts = values.iter().filter_map(|value| std::str::from_utf8(value).ok()).map(str::to_owned).collect();
        }
        Ok(())
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}
