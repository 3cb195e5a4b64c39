//! What slapd does beyond the ordinary, as far as a reader has to know it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::slapd::{BASE_DN, ODDITIES_DN, Overlay, READER_DN, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;

const PEOPLE: &str = "(objectClass=inetOrgPerson)";

async fn start(options: SlapdOptions) -> Slapd {
    Slapd::start(&options, &Company::small()).await.unwrap()
}

async fn start_with_oddities() -> Slapd {
    start(SlapdOptions { oddities: true, ..SlapdOptions::default() }).await
}

async fn count(slapd: &Slapd, arguments: &[&str]) -> usize {
    slapd.search(arguments).await.unwrap().lines().filter(|line| line.starts_with("dn:")).count()
}

mod rights {
    use super::*;

    #[tokio::test]
    async fn an_attribute_is_hidden_and_shown_again_while_it_runs() {
        let slapd = start(SlapdOptions::default()).await;
        assert_eq!(count(&slapd, &["(mail=*)", "1.1"]).await, 199 + 20);
        slapd.restrict(&["to attrs=mail by * none"]).await.unwrap();
        assert_eq!(count(&slapd, &[PEOPLE, "1.1"]).await, 200);
        assert_eq!(count(&slapd, &["(mail=*)", "1.1"]).await, 0);
        slapd.restrict(&[]).await.unwrap();
        assert_eq!(count(&slapd, &["(mail=*)", "1.1"]).await, 199 + 20);
    }

    #[tokio::test]
    async fn who_may_see_nothing_is_told_that_the_base_is_not_there() {
        let slapd = start(SlapdOptions::default()).await;
        slapd.restrict(&["to * by anonymous auth by * none"]).await.unwrap();
        let refusal = slapd.search(&[PEOPLE, "1.1"]).await.unwrap_err().to_string();
        assert!(refusal.contains("No such object (32)"), "{refusal}");
    }

    #[tokio::test]
    async fn who_may_see_the_base_but_no_person_gets_an_empty_success() {
        let slapd = start(SlapdOptions::default()).await;
        slapd.restrict(&["to dn.children=\"ou=People,dc=example,dc=com\" by * none"]).await.unwrap();
        assert_eq!(count(&slapd, &["-b", "ou=People,dc=example,dc=com", PEOPLE, "1.1"]).await, 0);
    }

    #[tokio::test]
    async fn limits_change_while_it_runs() {
        let slapd = start(SlapdOptions::default()).await;
        slapd.limit("size=50").await.unwrap();
        let refusal = slapd.search(&[PEOPLE, "1.1"]).await.unwrap_err().to_string();
        assert!(refusal.contains("Size limit exceeded (4)"), "{refusal}");
    }

    #[tokio::test]
    async fn only_we_may_read_the_files_with_passwords() {
        let slapd = start(SlapdOptions::default()).await;
        let mode = fs::metadata(slapd.reader().password_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_certificate_signs_in_instead_of_a_password() {
        let authority = CertificateAuthority::new("directory").unwrap();
        let options = SlapdOptions {
            certificate: Some(authority.server_certificate(&["127.0.0.1"]).unwrap()),
            client_authority_pem: Some(authority.certificate_pem().to_owned()),
            ..SlapdOptions::default()
        };
        let slapd = start(options).await;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let works = |name: &str| {
            let client = authority.server_certificate(&[name]).unwrap();
            std::process::Command::new("ldapsearch")
                .args(["-Q", "-Y", "EXTERNAL", "-H", &slapd.ldaps_url().unwrap(), "-LLL", "-b", BASE_DN, PEOPLE, "1.1"])
                .env("LDAPTLS_CACERT", file("ca.crt", authority.certificate_pem()))
                .env("LDAPTLS_CERT", file("client.crt", &client.certificate_pem))
                .env("LDAPTLS_KEY", file("client.key", &client.key_pem))
                .output()
                .unwrap()
        };
        let reader = works("reader");
        let found = String::from_utf8_lossy(&reader.stdout).matches("dn: ").count();
        assert_eq!(found, 200, "{}", String::from_utf8_lossy(&reader.stderr));
        assert!(!works("stranger").status.success());
    }
}

mod overlays {
    use super::*;

    #[tokio::test]
    async fn people_show_their_groups_when_asked() {
        let slapd = start(SlapdOptions { overlays: vec![Overlay::MemberOf], ..SlapdOptions::default() }).await;
        let company = Company::small();
        let group = company.group("Works Council").unwrap();
        assert_eq!(count(&slapd, &[&format!("(memberOf={})", group.dn()), "1.1"]).await, group.members.len());
        let shown = slapd.search(&["-b", &group.members[0], "-s", "base", "(objectClass=*)"]).await.unwrap();
        assert!(!shown.contains("memberOf"), "{shown}");
    }

    #[tokio::test]
    async fn a_locked_account_bears_the_time_or_the_mark_of_for_ever() {
        let overlays = vec![Overlay::PasswordPolicy];
        let slapd = start(SlapdOptions { overlays, oddities: true, ..SlapdOptions::default() }).await;
        assert_eq!(count(&slapd, &["(pwdAccountLockedTime=*)", "1.1"]).await, 2);
        let found = slapd.search(&["(uid=locked.forever)", "pwdAccountLockedTime"]).await.unwrap();
        assert!(found.contains("pwdAccountLockedTime: 000001010000Z"), "{found}");
    }

    #[tokio::test]
    async fn clients_can_be_told_of_changes() {
        let slapd = start(SlapdOptions { overlays: vec![Overlay::SyncProvider], ..SlapdOptions::default() }).await;
        assert_eq!(count(&slapd, &["-E", "sync=ro", PEOPLE, "1.1"]).await, 200);
    }
}

mod oddities {
    use super::*;

    #[tokio::test]
    async fn aliases_are_entries_unless_they_are_followed() {
        let slapd = start_with_oddities().await;
        let people = ["-b", ODDITIES_DN, "(uid=root.of.all)", "1.1"];
        assert_eq!(count(&slapd, &people).await, 1);
        assert_eq!(count(&slapd, &["-b", ODDITIES_DN, "(objectClass=alias)", "1.1"]).await, 2);
        let followed = slapd.search(&["-a", "always", "-b", ODDITIES_DN, "(objectClass=*)", "1.1"]).await.unwrap();
        assert_eq!(followed.matches("dn: uid=root.of.all,").count(), 1, "{followed}");
        assert!(!followed.contains("dn: uid=alias.of"), "{followed}");
    }

    #[tokio::test]
    async fn a_part_of_the_tree_that_is_elsewhere_is_a_reference() {
        let slapd = start_with_oddities().await;
        let found = slapd.search(&["-b", ODDITIES_DN, "(objectClass=*)", "1.1"]).await.unwrap();
        let reference = "# refldap://subsidiary.example.com/ou=Subsidiary,dc=example,dc=com??sub";
        assert!(found.contains(reference), "{found}");
        let below = format!("ou=Subsidiary,{ODDITIES_DN}");
        let referral = slapd.search(&["-b", &below, "(objectClass=*)", "1.1"]).await.unwrap_err().to_string();
        assert!(referral.contains("Referral (10)"), "{referral}");
        assert_eq!(count(&slapd, &["-M", "-b", &below, "-s", "base", "(objectClass=*)", "1.1"]).await, 1);
    }

    #[tokio::test]
    async fn passwords_are_for_nobody_unless_a_rule_says_so() {
        let slapd = start_with_oddities().await;
        let passwords = ["-b", ODDITIES_DN, "(uid=password.*)", "userPassword"];
        assert!(!slapd.search(&passwords).await.unwrap().contains("userPassword"));
        let rule = format!("to attrs=userPassword by dn.exact=\"{READER_DN}\" read by anonymous auth by * none");
        slapd.restrict(&[&rule]).await.unwrap();
        let shown = slapd.search(&passwords).await.unwrap();
        assert_eq!(shown.matches("\nuserPassword:: ").count(), 13, "{shown}");
    }

    #[tokio::test]
    async fn members_of_unix_groups_are_names_of_accounts() {
        let slapd = start_with_oddities().await;
        assert_eq!(count(&slapd, &["(&(objectClass=posixGroup)(memberUid=shell.user))", "1.1"]).await, 1);
        assert_eq!(count(&slapd, &["(&(objectClass=groupOfUniqueNames)(uniqueMember=*))", "1.1"]).await, 1);
        assert_eq!(count(&slapd, &["(mailLocalAddress=postmaster@example.com)", "1.1"]).await, 1);
    }
}
