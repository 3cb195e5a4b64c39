//! Reading and looking up in a real Active Directory domain, with the schema of that name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use directory_sync_api::convert;
use directory_sync_api::source::LdapSchema;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::mapping::{UserMapping, UserMappingSpec, Value};
use directory_sync_core::plan::WarningKind;
use directory_sync_core::snapshot::{Group, MemberKind, Snapshot, User};
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{Bind, LdapConfig, LdapSource, Only, Scope, Search, Tls};
use directory_sync_tests::peers::company::active_directory::{
    ALL_STAFF_DN, BASE_DN, GROUPS_DN, LARGE_GROUP_DN, LARGE_GROUP_SIZE, ODDITIES_DN, STAFF,
};
use directory_sync_tests::peers::samba::{HOST, READER_DN, SambaDomainController, SambaOptions};

const SCHEMA: LdapSchema = LdapSchema::ActiveDirectory;

fn below(base: &str, filter: &str) -> Search {
    Search { base_dn: base.to_owned(), scope: Scope::Subtree, filter: filter.to_owned() }
}

/// The whole domain, as the schema says.
fn config(controller: &SambaDomainController) -> LdapConfig {
    let spec = serde_json::json!({
        "source": { "ldap": {
            "urls": ["ldaps://dc1.example.com"],
            "schema": "ActiveDirectory",
            "bind": { "simple": { "secretRef": { "name": "reader" } } },
            "users": [{ "baseDN": BASE_DN }],
        } },
        "target": { "scim": {
            "url": "https://app.example.com/scim/v2",
            "auth": { "bearerTokenSecretRef": { "name": "scim-token", "key": "token" } },
        } },
    });
    let (people, groups) = convert::mapping(&serde_json::from_value(spec).unwrap()).unwrap();
    let bind = Bind::Simple { username: READER_DN.to_owned(), password: controller.reader_password().clone() };
    LdapConfig {
        tls: Tls { ca_bundle: Some(controller.authority().certificate_pem().to_owned()), ..Tls::default() },
        users: vec![below(BASE_DN, SCHEMA.user_filter())],
        groups: vec![below(BASE_DN, SCHEMA.group_filter())],
        primary_groups: true,
        page_size: 500,
        group_mapping: Some(Arc::new(groups)),
        ..LdapConfig::new(vec![controller.ldaps_url()], bind, Arc::new(people))
    }
}

fn person<'s>(snapshot: &'s Snapshot, address: &str) -> Option<User<'s>> {
    snapshot.users().find(|user| user.address() == address)
}

fn group<'s>(snapshot: &'s Snapshot, name: &str) -> Group<'s> {
    snapshot.groups().find(|group| group.name() == name).unwrap()
}

fn members(snapshot: &Snapshot, name: &str) -> BTreeSet<String> {
    let label =
        |user: User<'_>| if user.address().is_empty() { user.id().to_owned() } else { user.address().to_owned() };
    let name_of = |member: MemberKind| match member {
        MemberKind::User(row) => label(snapshot.user(row)),
        MemberKind::Group(row) => snapshot.group(row).name().to_owned(),
    };
    group(snapshot, name).members().iter().map(|member| name_of(member.kind())).collect()
}

/// The identity of an entry, from what `ldapsearch` prints.
async fn object_guid(controller: &SambaDomainController, dn: &str) -> String {
    let found = controller.search(&["-s", "base", "-b", dn, "(objectClass=*)", "objectGUID"]).await.unwrap();
    let value = found.lines().find_map(|line| line.strip_prefix("objectGUID:: ")).unwrap();
    let bytes = STANDARD.decode(value).unwrap();
    // The first three parts have their bytes in reverse.
    let hexadecimal = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let reversed = |part: std::ops::Range<usize>| hexadecimal(bytes[part].iter().rev().copied().collect());
    let straight = |part: std::ops::Range<usize>| hexadecimal(bytes[part].to_vec());
    [reversed(0..4), reversed(4..6), reversed(6..8), straight(8..10), straight(10..16)].join("-")
}

#[tokio::test]
async fn a_whole_domain_is_read_from_its_root() {
    let controller = SambaDomainController::start().await.unwrap();
    let mut read = LdapSource::new(config(&controller)).unwrap().read_all().await.unwrap();
    let snapshot = read.snapshot();

    let mail: Vec<_> = STAFF.iter().filter_map(|staff| staff.mail.as_deref()).collect();
    assert!(mail.iter().all(|mail| person(snapshot, mail).is_some()));
    let regular = &STAFF[4];
    let dn = directory_sync_tests::peers::company::active_directory::dn(regular);
    let read_person = person(snapshot, regular.mail.as_deref().unwrap()).unwrap();
    assert_eq!(read_person.id(), object_guid(&controller, &dn).await);
    assert_eq!(read_person.display_name(), regular.display_name());

    // The primary address is the one in capitals, and the others are aliases.
    let address = person(snapshot, "other.primary@example.com").unwrap();
    assert_eq!(address.aliases().collect::<Vec<_>>(), ["earlier.name@example.com"]);
    let malformed = person(snapshot, "malformed.addresses@example.com").unwrap();
    // An address without its kind is taken for one of mail, as the vendor's own programs do.
    assert_eq!(malformed.aliases().collect::<Vec<_>>(), ["good.alias@example.com", "without.kind@example.com"]);
    assert!(snapshot.skipped().malformed_values >= 4);
    let aliases_only = person(snapshot, "aliases.only@example.com").unwrap();
    assert_eq!(aliases_only.aliases().collect::<Vec<_>>(), ["one.alias@example.com"]);
    assert!(
        person(snapshot, "proxy.only@example.com").is_some() && person(snapshot, "mail.only@example.com").is_some()
    );

    // Who is disabled is inactive, unless nobody ever signs in to the account.
    let disabled = STAFF.iter().filter(|staff| staff.disabled).filter_map(|staff| staff.mail.as_deref());
    assert!(disabled.into_iter().all(|mail| !person(snapshot, mail).unwrap().active()));
    for (mail, active) in [
        ("disabled.flags@example.com", false),
        ("enabled.flags@example.com", true),
        ("info@example.com", true),
        ("press@example.com", true),
        ("sue@supplier.example", true),
    ] {
        assert_eq!(person(snapshot, mail).unwrap().active(), active, "{mail}");
    }
    for nobody in ["laptop@example.com", "HealthMailbox", "SystemMailbox", "DiscoverySearchMailbox"] {
        assert!(!snapshot.users().any(|user| user.address().contains(nobody)), "{nobody}");
    }

    // Groups.
    assert_eq!(group(snapshot, "Everybody On Site").members().len(), LARGE_GROUP_SIZE);
    let contractors = ["mail.only@example.com", "standard.class@example.com"].map(str::to_owned);
    assert_eq!(members(snapshot, "Contractors"), contractors.into(), "one of them by the primary group");
    assert!(group(snapshot, "Domain Users").members().len() > STAFF.len());
    assert!(!snapshot.groups().any(|group| group.name() == "Account Operators"), "built-in groups are left out");
    assert!(members(snapshot, "All Staff").len() > 10);

    read.settle_nesting(false);
    assert_eq!(group(read.snapshot(), "All Staff").members().len(), STAFF.len());
    let circle = ["aliases.only@example.com", "mail.only@example.com", "proxy.only@example.com"].map(str::to_owned);
    for name in ["Circle A", "Circle B", "Circle C"] {
        assert_eq!(members(read.snapshot(), name), circle.clone().into());
    }
    assert_eq!(read.warnings().of(WarningKind::GroupInItself), 3);
    assert_eq!(read.warnings().of(WarningKind::FilterOnMapped), 0);
}

#[tokio::test]
async fn only_groups_with_addresses_count_and_the_others_pass_their_members_on() {
    let controller = SambaDomainController::start().await.unwrap();
    let add = format!(
        "dn: CN=Mail Group,{ODDITIES_DN}\nchangetype: modify\nadd: member\n\
         member: CN=Group Without Address,{ODDITIES_DN}\n"
    );
    controller.change(&add).await.unwrap();
    let of_schema = LdapConfig {
        schema_filters: vec![SCHEMA.user_filter().to_owned(), SCHEMA.group_filter().to_owned()],
        mail_groups_only: true,
        ..config(&controller)
    };
    let source = LdapSource::new(of_schema.clone()).unwrap();
    let read = source.read_all().await.unwrap();
    let snapshot = read.snapshot();
    for name in ["Domain Users", "Group Without Address"] {
        assert!(!snapshot.groups().any(|group| group.name() == name), "{name}");
    }
    assert!(members(snapshot, "Mail Group").contains("mail.only@example.com"));
    assert_eq!(group(snapshot, "All Staff").unresolved_members(), 0);
    assert_eq!(read.warnings().of(WarningKind::FilterOnMapped), 0);
    assert!(read.warnings().of(WarningKind::GroupPassesOn) > 1);
    assert!(snapshot.skipped().other_addresses > 100, "sip, x400 and x500 are counted");

    // Who is in a list through such a group is in it when it is looked up, too.
    let lookup = Lookup::Group { id: group(snapshot, "Mail Group").id().to_owned() };
    let findings = source.confirm(&[lookup], snapshot.referencer()).await;
    let Finding::StillThere { members: Some(members) } = &findings[0] else { panic!("{findings:?}") };
    assert!(members.contains(&person(snapshot, "mail.only@example.com").unwrap().reference().unwrap()));

    // A filter of one's own takes what it selects.
    let written = LdapConfig { groups: vec![below(BASE_DN, "(objectClass=group)")], ..of_schema };
    let read = LdapSource::new(written).unwrap().read_all().await.unwrap();
    assert!(read.snapshot().groups().any(|group| group.name() == "Domain Users"));
}

#[tokio::test]
async fn whether_values_are_bytes_is_asked_of_the_schema_of_the_domain() {
    let controller = SambaDomainController::start().await.unwrap();
    let attribute = |name: &str| Some(Value::Attribute(name.to_owned()));
    let mapping = UserMapping::compile(&UserMappingSpec {
        id: attribute("objectGUID"),
        email: attribute("mail"),
        given_name: attribute("replPropertyMetaData"),
        family_name: attribute("codePage"),
        ..UserMappingSpec::default()
    });
    let config = LdapConfig {
        users: vec![below(&format!("CN=Other Primary,{ODDITIES_DN}"), SCHEMA.user_filter())],
        groups: Vec::new(),
        user_mapping: Arc::new(mapping.unwrap()),
        ..config(&controller)
    };
    let read = LdapSource::new(config).unwrap().read_all().await.unwrap();
    let person = read.snapshot().user(0);
    assert!(person.given_name().len() > 32 && person.given_name().bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!((person.family_name(), read.snapshot().skipped().malformed_values), ("0", 0));
}

#[tokio::test]
async fn a_domain_controller_is_known_by_its_own_name_and_speaks_tls_or_nothing() {
    let controller = SambaDomainController::start_with(SambaOptions { require_encryption: true }).await.unwrap();
    let narrow =
        LdapConfig { users: vec![below(ODDITIES_DN, SCHEMA.user_filter())], groups: Vec::new(), ..config(&controller) };
    let start_tls = LdapConfig {
        urls: vec![controller.url()],
        tls: Tls { start_tls: true, ..narrow.tls.clone() },
        ..narrow.clone()
    };
    let read = LdapSource::new(start_tls).unwrap().read_all().await.unwrap();
    assert_eq!(read.server().map(str::to_lowercase).as_deref(), Some(HOST));
    let plain = LdapConfig { urls: vec![controller.url()], tls: Tls { plaintext: true, ..Tls::default() }, ..narrow };
    let error = LdapSource::new(plain).unwrap().read_all().await.unwrap_err();
    assert_eq!(error.reason(), "SourceEncryptionRequired", "{error}");
}

#[tokio::test]
async fn only_the_members_of_given_groups_and_of_given_domains() {
    let controller = SambaDomainController::start().await.unwrap();
    let read = async |groups: &[&str], domains: &[&str]| {
        let only = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        let config = LdapConfig {
            only: Only { groups: only(groups), mail_domains: only(domains) },
            groups: vec![below(GROUPS_DN, SCHEMA.group_filter()), below(ODDITIES_DN, SCHEMA.group_filter())],
            ..config(&controller)
        };
        LdapSource::new(config).unwrap().read_all().await
    };
    let people =
        async |groups: &[&str], domains: &[&str]| read(groups, domains).await.unwrap().snapshot().counts().users;

    assert_eq!(people(&[LARGE_GROUP_DN], &[]).await, LARGE_GROUP_SIZE as u64);
    assert_eq!(people(&[ALL_STAFF_DN], &[]).await, STAFF.len() as u64, "they are in the groups within");
    assert_eq!(people(&[&format!("CN=circle a,{ODDITIES_DN}")], &[]).await, 3, "in a circle of groups");
    assert_eq!(people(&[&format!("CN=Contractors,{ODDITIES_DN}")], &[]).await, 2, "one of them by the primary group");
    assert_eq!(
        people(&[&format!("CN=Empty Group,{ODDITIES_DN}")], &[]).await,
        0,
        "those in others say in which they are"
    );
    assert!(people(&[&format!("CN=Domain Users,CN=Users,{BASE_DN}")], &[]).await > STAFF.len() as u64);
    let unsearched = LdapConfig {
        only: Only { groups: vec![ALL_STAFF_DN.to_owned()], ..Only::default() },
        groups: Vec::new(),
        ..config(&controller)
    };
    let read_unsearched = LdapSource::new(unsearched).unwrap().read_all().await.unwrap();
    assert_eq!(read_unsearched.snapshot().counts().users, STAFF.len() as u64, "wherever the groups are");
    let error = read(&[&format!("CN=No Such Group,{ODDITIES_DN}")], &[]).await.unwrap_err().to_string();
    assert!(error.contains("CN=No Such Group") && error.contains("onlyGroups"), "{error}");

    let supplier = read(&[], &["Supplier.example"]).await.unwrap();
    assert!(person(supplier.snapshot(), "sue@supplier.example").is_some());
    assert!(
        supplier.snapshot().users().all(|user| user.address().is_empty() || user.address() == "sue@supplier.example")
    );
}

#[tokio::test]
async fn confirm_tells_why_a_person_is_no_longer_there() {
    let controller = SambaDomainController::start().await.unwrap();
    let dn = |name: &str| format!("CN={name},{ODDITIES_DN}");
    let names =
        ["Other Primary", "Malformed Addresses", "Mail Only", "Proxy Only", "Enabled With Flags", "Aliases Only"];
    let mut lookups = Vec::new();
    for name in names {
        lookups.push(Lookup::User { id: object_guid(&controller, &dn(name)).await });
    }
    let contractors = Lookup::Group { id: object_guid(&controller, &dn("Contractors")).await };
    lookups.push(contractors);
    let config = LdapConfig {
        users: vec![below(ODDITIES_DN, "(&(objectCategory=person)(!(description=left)))")],
        ..config(&controller)
    };
    let source = LdapSource::new(config).unwrap();
    let read = source.read_all().await.unwrap();

    controller.delete(&dn(names[0])).await.unwrap();
    let moved = "changetype: modrdn\nnewrdn: CN=Malformed Addresses\ndeleteoldrdn: 1\nnewsuperior";
    controller.change(&format!("dn: {}\n{moved}: CN=Users,{BASE_DN}\n", dn(names[1]))).await.unwrap();
    controller.replace(&dn(names[2]), "description", &["left"]).await.unwrap();
    controller.replace(&dn(names[3]), "proxyAddresses", &[]).await.unwrap();
    controller.replace(&dn(names[4]), "userAccountControl", &["514"]).await.unwrap();

    let findings = source.confirm(&lookups, read.snapshot().referencer()).await;
    let reasons = [
        Finding::Gone,
        Finding::MovedOutOfScope,
        Finding::NoLongerMatches,
        Finding::LostAddress,
        Finding::Disabled,
        Finding::StillThere { members: None },
    ];
    assert_eq!(findings[..6], reasons);
    let Finding::StillThere { members: Some(members) } = &findings[6] else { panic!("{findings:?}") };
    let by_primary_group = person(read.snapshot(), "standard.class@example.com").unwrap().reference().unwrap();
    assert!(members.contains(&by_primary_group));
}
