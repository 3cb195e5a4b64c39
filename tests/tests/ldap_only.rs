//! `onlyGroups` and `onlyMailDomains` on a real OpenLDAP server: who is chosen, and that nobody leaves because the
//! account cannot see why they are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ldap_schema;

use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::plan::WarningKind;
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_core::snapshot::Referencer;
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{Bind, LdapConfig, LdapError, LdapSource, Only};
use directory_sync_tests::peers::company::{Company, Group};
use directory_sync_tests::peers::slapd::{self, BASE_DN, Overlay, Slapd, SlapdOptions};
use serde_json::json;

const PEOPLE_DN: &str = "ou=People,dc=example,dc=com";
const GROUPS_DN: &str = "ou=Groups,dc=example,dc=com";

/// Groups that are in no company: one around a department, one around that, and one without an address.
const NESTED: &str = "dn: ou=Elsewhere,dc=example,dc=com\nobjectClass: organizationalUnit\nou: Elsewhere\n
dn: cn=inner,ou=Elsewhere,dc=example,dc=com\nobjectClass: groupOfNames\ncn: inner\nmember: %department%\n
dn: cn=outer,ou=Groups,dc=example,dc=com\nobjectClass: groupOfNames\nobjectClass: mailRecipient\ncn: outer\nmail: outer@example.com\nmember: cn=inner,ou=Elsewhere,dc=example,dc=com\n
dn: cn=plain,ou=Groups,dc=example,dc=com\nobjectClass: groupOfNames\ncn: plain\nmember: %person%\nmember: cn=outer,ou=Groups,dc=example,dc=com\n
dn: cn=list,ou=Groups,dc=example,dc=com\nobjectClass: groupOfNames\nobjectClass: mailRecipient\ncn: list\nmail: list@example.com\nmember: cn=plain,ou=Groups,dc=example,dc=com\n";

struct World {
    slapd: Slapd,
    company: Company,
    department: Group,
}

async fn start(overlays: Vec<Overlay>) -> World {
    let company = Company::small();
    let options = SlapdOptions { overlays, ..SlapdOptions::default() };
    let slapd = Slapd::start(&options, &company).await.unwrap();
    let department = company.groups[0].clone();
    let outsider = company.people.iter().find(|person| !department.members.contains(&person.dn())).unwrap();
    let ldif = NESTED.replace("%department%", &department.dn()).replace("%person%", &outsider.dn());
    slapd.change(&ldif).await.unwrap();
    World { slapd, company, department }
}

impl World {
    fn config(&self) -> LdapConfig {
        let password = self.slapd.reader_password().clone();
        let bind = Bind::Simple { username: slapd::READER_DN.to_owned(), password };
        let config = ldap_schema::config(self.slapd.url(), bind, PEOPLE_DN, &json!({ "schema": "OpenLDAP" }));
        let mut groups = config.groups.clone();
        GROUPS_DN.clone_into(&mut groups[0].base_dn);
        LdapConfig { groups, ..config }
    }

    fn only(&self, group: &str) -> LdapConfig {
        let groups = vec![format!("cn={group},{GROUPS_DN}")];
        LdapConfig { only: Only { groups, ..Only::default() }, ..self.config() }
    }

    /// Somebody in the department, who is chosen by every group around it.
    fn lookup(&self) -> Lookup {
        let id = self.company.people.iter().find(|person| self.department.members.contains(&person.dn())).unwrap();
        Lookup::User { id: id.entry_uuid() }
    }
}

async fn people(config: LdapConfig) -> Result<usize, LdapError> {
    LdapSource::new(config).unwrap().read_all().await.map(|read| read.snapshot().user_count())
}

async fn findings(config: LdapConfig, lookup: Lookup) -> Finding {
    LdapSource::new(config).unwrap().confirm(&[lookup], &Referencer::default()).await.remove(0)
}

#[tokio::test]
async fn nested_groups_are_followed_wherever_they_are() {
    let world = start(Vec::new()).await;
    let members = world.department.members.len();
    // One group is outside the search for groups, and then all of them are.
    assert_eq!(people(world.only("outer")).await.unwrap(), members);
    let unsearched = LdapConfig { groups: Vec::new(), ..world.only("outer") };
    assert_eq!(people(unsearched.clone()).await.unwrap(), members);
    let expected = Finding::StillThere { members: None };
    assert_eq!(findings(world.only("outer"), world.lookup()).await, expected);
    assert_eq!(findings(unsearched, world.lookup()).await, expected);
    // Who left is confirmed to have left.
    let fewer: Vec<&str> = world.department.members.iter().skip(1).map(String::as_str).collect();
    world.slapd.replace(&world.department.dn(), "member", &fewer).await.unwrap();
    let left = world.company.people.iter().find(|person| person.dn() == world.department.members[0]).unwrap();
    let left = Lookup::User { id: left.entry_uuid() };
    assert_eq!(findings(world.only("outer"), left).await, Finding::NoLongerMatches);
}

#[tokio::test]
async fn a_lost_right_on_a_group_fails_the_read_and_confirms_nobody() {
    let world = start(Vec::new()).await;
    let department = world.department.dn();
    for (hidden, what) in [
        (format!("cn=outer,{GROUPS_DN}"), "attrs=member"),
        (format!("cn=outer,{GROUPS_DN}"), "attrs=entry"),
        ("cn=inner,ou=Elsewhere,dc=example,dc=com".to_owned(), "attrs=member"),
        ("cn=inner,ou=Elsewhere,dc=example,dc=com".to_owned(), "attrs=entry"),
        (department.clone(), "attrs=member"),
        (department.clone(), "attrs=entry"),
    ] {
        world.slapd.restrict(&[&format!("to dn.exact=\"{hidden}\" {what} by * none")]).await.unwrap();
        for config in [world.only("outer"), LdapConfig { groups: Vec::new(), ..world.only("outer") }] {
            let error = people(config.clone()).await.unwrap_err();
            assert_eq!(error.reason(), "SourceGroupUnreadable", "{hidden} {what}: {error}");
            let finding = findings(config, world.lookup()).await;
            assert!(matches!(finding, Finding::Unreadable { .. }), "{hidden} {what}: {finding:?}");
        }
    }
}

#[tokio::test]
async fn a_member_that_is_gone_matters_only_where_it_may_have_been_a_group() {
    let world = start(Vec::new()).await;
    let newsletter = world.company.group("Newsletter").unwrap();
    let expected = newsletter.members.len() - 1;
    assert_eq!(people(world.only("Newsletter")).await.unwrap(), expected);
    // People and groups are together below this base.
    let mut config = world.only("Newsletter");
    config.users[0].base_dn = BASE_DN.to_owned();
    let error = people(config).await.unwrap_err();
    assert_eq!(error.reason(), "SourceGroupUnreadable");
    let sentence = error.to_string();
    assert!(sentence.contains(PEOPLE_DN) && sentence.contains(&newsletter.dn()), "{sentence}");
    assert!(!sentence.contains("long.gone"), "nobody is named: {sentence}");
}

#[tokio::test]
async fn an_empty_group_is_believed_to_be_empty_if_its_members_could_say_otherwise() {
    let empty = "dn: cn=empty,ou=Groups,dc=example,dc=com\nobjectClass: posixGroup\ncn: empty\ngidNumber: 30000\n";
    for (overlays, believed) in [(vec![Overlay::MemberOf], true), (Vec::new(), false)] {
        let world = start(overlays).await;
        world.slapd.change(empty).await.unwrap();
        let members = [world.department.dn(), format!("cn=empty,{GROUPS_DN}")];
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        world.slapd.replace(&format!("cn=outer,{GROUPS_DN}"), "member", &members).await.unwrap();
        match people(world.only("outer")).await {
            Ok(count) => assert!(believed && count == world.department.members.len()),
            Err(error) => assert!(!believed && error.to_string().contains("memberOf"), "{error}"),
        }
        // With memberOf, a group that hides its members is not taken for an empty one.
        let rule = format!("to dn.exact=\"{}\" attrs=member by * none", world.department.dn());
        world.slapd.restrict(&[&rule]).await.unwrap();
        assert_eq!(people(world.only("outer")).await.unwrap_err().reason(), "SourceGroupUnreadable");
    }
}

#[tokio::test]
async fn a_group_that_suddenly_shows_no_member_is_not_confirmed_to_have_lost_them() {
    let world = start(Vec::new()).await;
    let source = LdapSource::new(world.config()).unwrap();
    let read = source.read_all().await.unwrap();
    let lookup = [Lookup::Group { id: world.department.entry_uuid() }];
    world.slapd.restrict(&["to attrs=member by * none"]).await.unwrap();
    let findings = source.confirm(&lookup, read.snapshot().referencer()).await;
    assert_eq!(findings, [Finding::StillThere { members: None }]);
}

fn list(read: &CompleteRead<SourceSide>) -> usize {
    let list = read.snapshot().groups().find(|group| group.name() == "list").unwrap();
    list.members().len()
}

#[tokio::test]
async fn people_stay_in_a_list_that_they_are_in_through_a_group_without_an_address() {
    let world = start(Vec::new()).await;
    let only = Only { mail_domains: vec!["example.com".to_owned()], ..Only::default() };
    let mut config = LdapConfig { only, ..world.config() };
    let elsewhere = directory_sync_sources::ldap::Search {
        base_dn: "ou=Elsewhere,dc=example,dc=com".to_owned(),
        ..config.groups[0].clone()
    };
    config.groups.push(elsewhere);
    let source = LdapSource::new(config).unwrap();
    let mut read = source.read_all().await.unwrap();
    assert!(!read.snapshot().groups().any(|group| ["plain", "inner"].contains(&group.name())));
    assert_eq!(read.warnings().of(WarningKind::GroupPassesOn), 2);
    assert_eq!(list(&read), 2, "one person, and the group with an address that is within the one without");
    let list_id = read.snapshot().groups().find(|group| group.name() == "list").unwrap().id().to_owned();
    let findings = source.confirm(&[Lookup::Group { id: list_id }], read.snapshot().referencer()).await;
    let Finding::StillThere { members: Some(members) } = &findings[0] else { panic!("{findings:?}") };
    let outsider = read.snapshot().groups().find(|group| group.name() == "list").unwrap().members()[0];
    let directory_sync_core::snapshot::MemberKind::User(row) = outsider.kind() else { panic!("a person comes first") };
    assert!(members.contains(&read.snapshot().user(row).reference().unwrap()));

    read.settle_nesting(false);
    assert_eq!(list(&read), world.department.members.len() + 1);
}
