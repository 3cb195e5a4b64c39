//! What a domain controller does, as far as a reader has to know it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fmt::Write as _;

use base64::Engine as _;
use directory_sync_tests::peers::company::active_directory::{
    self, ALL_STAFF_DN, LARGE_GROUP_DN, LARGE_GROUP_SIZE, ODDITIES_DN, STAFF, STAFF_DN,
};
use directory_sync_tests::peers::ldap_account::LdapAccount;
use directory_sync_tests::peers::samba::{READER_DN, READER_PRINCIPAL, SambaDomainController, SambaOptions};
use secrecy::SecretString;
use tokio::sync::OnceCell;

async fn start() -> SambaDomainController {
    SambaDomainController::start().await.unwrap()
}

/// The one that is only read, by several tests at once.
async fn shared() -> &'static SambaDomainController {
    static SHARED: OnceCell<SambaDomainController> = OnceCell::const_new();
    SHARED.get_or_init(start).await
}

async fn count(controller: &SambaDomainController, base: &str, filter: &str) -> usize {
    let found = controller.search(&["-b", base, filter, "1.1"]).await.unwrap();
    found.lines().filter(|line| line.starts_with("dn:")).count()
}

/// The values of an attribute of one entry, in the order of the answer.
async fn values(controller: &SambaDomainController, dn: &str, attribute: &str) -> Vec<String> {
    let found = controller.search(&["-s", "base", "-b", dn, "(objectClass=*)", attribute]).await.unwrap();
    found.lines().filter_map(|line| line.strip_prefix(&format!("{attribute}: "))).map(str::to_owned).collect()
}

mod the_company {
    use super::*;

    #[tokio::test]
    async fn a_user_without_rights_reads_it() {
        let controller = shared().await;
        assert_eq!(count(controller, STAFF_DN, "(objectClass=user)").await, STAFF.len());
        let disabled = "(&(objectClass=user)(userAccountControl:1.2.840.113556.1.4.803:=2))";
        assert_eq!(count(controller, STAFF_DN, disabled).await, STAFF.len() / 10);
        let person = &STAFF[4];
        assert_eq!(values(controller, &active_directory::dn(person), "msExchRecipientTypeDetails").await, ["1"]);
        let mut addresses = values(controller, &active_directory::dn(person), "proxyAddresses").await;
        let mut expected = active_directory::proxy_addresses(person);
        addresses.sort();
        expected.sort();
        assert_eq!(addresses, expected);
    }

    #[tokio::test]
    async fn its_oddities_are_there() {
        let controller = shared().await;
        assert_eq!(count(controller, ODDITIES_DN, "(objectClass=contact)").await, 2);
        assert_eq!(count(controller, ODDITIES_DN, "(msExchRecipientTypeDetails=4)").await, 1);
        assert_eq!(count(controller, active_directory::BASE_DN, "(cn=HealthMailbox*)").await, 1);
        assert_eq!(count(controller, active_directory::BASE_DN, "(cn=SystemMailbox*)").await, 1);
        let computers = count(controller, active_directory::BASE_DN, "(&(objectClass=user)(objectClass=computer))");
        assert!(computers.await > 1);
        let circle = |letter| format!("CN=Circle {letter},{ODDITIES_DN}");
        for (group, member) in [('A', 'C'), ('B', 'A'), ('C', 'B')] {
            let members = values(controller, &circle(group), "member").await;
            assert!(members.contains(&circle(member)), "{members:?}");
        }
    }
}

mod groups {
    use super::*;

    #[tokio::test]
    async fn members_come_in_ranges_that_are_asked_for_and_the_last_one_says_so() {
        let controller = shared().await;
        let range = |range: &str| {
            let attribute = format!("member;range={range}");
            let arguments = ["-s", "base", "-b", LARGE_GROUP_DN, "(objectClass=*)", &attribute].map(str::to_owned);

            async move { controller.search(&arguments.each_ref().map(String::as_str)).await.unwrap() }
        };
        let first = range("0-1499").await;
        assert_eq!(first.matches("\nmember;range=0-1499:").count(), 1500);
        let last = range("1500-2999").await;
        assert_eq!(last.matches("\nmember;range=1500-*:").count(), LARGE_GROUP_SIZE - 1500);
    }

    #[tokio::test]
    async fn this_server_gives_all_members_at_once_to_who_asks_without_a_range() {
        let controller = shared().await;
        let found = controller.search(&["-s", "base", "-b", LARGE_GROUP_DN, "(objectClass=*)", "member"]).await;
        assert_eq!(found.unwrap().matches("\nmember:").count(), LARGE_GROUP_SIZE);
    }

    #[tokio::test]
    async fn a_group_does_not_name_those_whose_primary_group_it_is() {
        let controller = shared().await;
        let group = format!("CN=Contractors,{ODDITIES_DN}");
        let person = format!("CN=Standard Class,{ODDITIES_DN}");
        assert_eq!(values(controller, &group, "member").await, [format!("CN=Mail Only,{ODDITIES_DN}")]);
        let primary = values(controller, &person, "primaryGroupID").await;
        assert_eq!(values(controller, &group, "primaryGroupToken").await, primary);
        assert!(values(controller, &person, "memberOf").await.iter().all(|name| *name != group));
    }

    #[tokio::test]
    async fn nested_groups_are_members() {
        let controller = shared().await;
        let departments = values(controller, ALL_STAFF_DN, "member").await;
        assert!(departments.len() > 10 && departments.iter().all(|name| name.starts_with("CN=")), "{departments:?}");
    }
}

mod connections {
    use super::*;

    #[tokio::test]
    async fn tls_from_the_start_and_by_upgrade_with_an_authority_of_its_own() {
        let controller = shared().await;
        let works = |url: &str, arguments: &[&str]| {
            let mut command = controller.search_command(url).unwrap();
            command.args(arguments).args(["-s", "base", "(objectClass=*)", "1.1"]);
            command.output().unwrap().status.success()
        };
        assert!(works(&controller.url(), &[]));
        assert!(works(&controller.url(), &["-ZZ"]));
        assert!(works(&controller.ldaps_url(), &[]));
    }

    #[tokio::test]
    async fn a_password_without_tls_can_be_refused() {
        let options = SambaOptions { require_encryption: true };
        let controller = SambaDomainController::start_with(options).await.unwrap();
        let mut command = controller.search_command(&controller.url()).unwrap();
        let output = command.args(["-s", "base"]).output().unwrap();
        let refusal = String::from_utf8_lossy(&output.stderr);
        assert!(refusal.contains("Strong(er) authentication required (8)"), "{refusal}");
        assert_eq!(count(&controller, ODDITIES_DN, "(cn=Info)").await, 1);
    }

    #[tokio::test]
    async fn a_person_signs_in_by_principal_name_as_well_and_a_refusal_tells_why() {
        let controller = shared().await;
        let folder = tempfile::tempdir().unwrap();
        let search = |account: LdapAccount| {
            let url = controller.url();
            async move { account.search(&url, ODDITIES_DN, &["-s", "base", "(objectClass=*)", "1.1"]).await }
        };
        let reader = |name: &str, password: &SecretString| LdapAccount::new(folder.path(), name, password).unwrap();
        search(reader(READER_PRINCIPAL, controller.reader_password())).await.unwrap();
        let refusal = search(reader(READER_DN, &"wrong".into())).await.unwrap_err().to_string();
        assert!(refusal.contains("Invalid credentials (49)") && refusal.contains("data 52e"), "{refusal}");
    }

    #[tokio::test]
    async fn several_hold_the_same_domain_at_once_and_keep_their_own_changes_over_a_restart() {
        let (mut first, second) = tokio::join!(start(), start());
        assert_ne!(first.url(), second.url());
        let identity = ["(sAMAccountName=info)", "objectGUID"];
        assert_eq!(first.search(&identity).await.unwrap(), second.search(&identity).await.unwrap());
        let person = active_directory::dn(&STAFF[0]);
        first.replace(&person, "title", &["Director"]).await.unwrap();
        first.stop_serving();
        assert!(first.search(&["-s", "base"]).await.is_err());
        first.start_serving().await.unwrap();
        assert_eq!(values(&first, &person, "title").await, ["Director"]);
        assert_ne!(values(&second, &person, "title").await, ["Director"]);
    }
}

mod searches {
    use super::*;

    #[tokio::test]
    async fn the_top_of_the_domain_refers_to_the_other_naming_contexts() {
        let controller = shared().await;
        let found = controller.search(&["(objectClass=domain)", "1.1"]).await.unwrap();
        // The scheme is that of the connection.
        assert_eq!(found.matches("# refldaps://ad.example.test/").count(), 3, "{found}");
    }

    #[tokio::test]
    async fn all_pages_of_a_search_but_the_last_have_the_same_cookie() {
        let controller = shared().await;
        let mut command = controller.reader().program("ldapsearch", &controller.url()).unwrap();
        command.args(["-b", STAFF_DN, "-E", "pr=500/noprompt", "(objectClass=user)", "1.1"]);
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let cookies: Vec<_> = output.lines().filter_map(|line| Some(line.split_once(" cookie=")?.1)).collect();
        let (last, others) = cookies.split_last().unwrap();
        assert_eq!(*last, "");
        // "1" and a zero byte: the number of the search among those that are open on the connection.
        assert!(others.len() >= 3 && others.iter().all(|cookie| *cookie == "MQA="), "{cookies:?}");
    }

    #[tokio::test]
    async fn there_is_no_limit_to_what_comes_without_pages() {
        let controller = shared().await;
        assert!(count(controller, active_directory::BASE_DN, "(objectClass=user)").await > STAFF.len());
    }

    #[tokio::test]
    async fn an_entry_is_found_by_the_bytes_of_its_identity() {
        let controller = shared().await;
        let found = controller.search(&["(sAMAccountName=info)", "objectGUID"]).await.unwrap();
        let encoded = found.lines().find_map(|line| line.strip_prefix("objectGUID:: ")).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
        let mut filter = String::from("(objectGUID=");
        for byte in &bytes {
            let _ = write!(filter, "\\{byte:02x}");
        }
        filter.push(')');
        assert_eq!((bytes.len(), count(controller, active_directory::BASE_DN, &filter).await), (16, 1));
    }

    #[tokio::test]
    async fn entries_can_be_added_changed_and_removed_and_keep_their_identity() {
        let controller = start().await;
        let (here, there) = (format!("CN=New Hire,{ODDITIES_DN}"), format!("CN=New Hire,{STAFF_DN}"));
        let mut records = format!("dn: {here}\nobjectClass: user\nsAMAccountName: new.hire\n");
        let _ = write!(records, "userAccountControl: 544\nmail: new.hire@example.com\n\n");
        controller.change(&records).await.unwrap();
        let identity = controller.search(&["(sAMAccountName=new.hire)", "objectGUID"]).await.unwrap();
        let identity = identity.lines().find(|line| line.starts_with("objectGUID")).unwrap().to_owned();
        let moved =
            format!("dn: {here}\nchangetype: modrdn\nnewrdn: CN=New Hire\ndeleteoldrdn: 1\nnewsuperior: {STAFF_DN}\n");
        controller.change(&moved).await.unwrap();
        let found = controller.search(&["-s", "base", "-b", &there, "(objectClass=*)", "objectGUID"]).await.unwrap();
        assert!(found.contains(&identity), "{found}");
        controller.delete(&there).await.unwrap();
        assert_eq!(count(&controller, active_directory::BASE_DN, "(sAMAccountName=new.hire)").await, 0);
    }
}
