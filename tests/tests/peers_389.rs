//! What a 389 Directory Server does, as far as a reader has to know it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::directory_389::{CONFIG_DN, Directory389, FREEIPA_DN, READER_DN};
use directory_sync_tests::peers::slapd::BASE_DN;

async fn start() -> Directory389 {
    Directory389::start(&Company::small()).await.unwrap()
}

/// How a search ended: the result's words, the cookies of its pages in base64, and the number of its entries.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    result: String,
    cookies: Vec<String>,
    entries: usize,
}

async fn search(server: &Directory389, arguments: &[&str]) -> Answer {
    let mut command = tokio::process::Command::from(server.reader().program("ldapsearch", &server.url()).unwrap());
    let output = command.args(["-b", BASE_DN]).args(arguments).arg("1.1").output().await.unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let lines =
        |start: &'static str| output.lines().filter_map(move |line| line.strip_prefix(start)).map(str::to_owned);
    Answer {
        result: lines("result: ").next_back().unwrap(),
        cookies: lines("pagedresults: ").filter_map(|line| Some(line.split_once("cookie=")?.1.to_owned())).collect(),
        entries: lines("dn: ").count(),
    }
}

const PEOPLE: &str = "(objectClass=inetOrgPerson)";
const PAGES_OF_20: &str = "pr=20/noprompt";

mod the_company {
    use super::*;

    #[tokio::test]
    async fn it_is_served_to_the_reader() {
        let server = start().await;
        assert_eq!(search(&server, &[PEOPLE]).await.entries, 200);
        assert_eq!(search(&server, &["(objectClass=groupOfNames)"]).await.entries, 20);
        assert!(search(&server, &["(mailAlternateAddress=*)"]).await.entries > 10);
        let reader = server.search(&["-s", "base", "-b", READER_DN, "(objectClass=*)", "*"]).await.unwrap();
        assert!(reader.contains("cn: reader") && !reader.contains("userPassword"), "{reader}");
    }

    #[tokio::test]
    async fn an_entry_is_found_by_the_identity_that_only_this_server_writes_like_that() {
        let server = start().await;
        let person = Company::small().people.swap_remove(1);
        let found = server.search(&[&format!("(uid={})", person.uid), "nsUniqueId"]).await.unwrap();
        let identity = found.lines().find_map(|line| line.strip_prefix("nsUniqueId: ")).unwrap();
        let lengths: Vec<_> = identity.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 8, 8, 8], "{identity}");
        assert_eq!(search(&server, &[&format!("(nsUniqueId={identity})")]).await.entries, 1);
    }

    #[tokio::test]
    async fn it_survives_a_restart() {
        let mut server = start().await;
        server.replace(&Company::small().people[0].dn(), "sn", &["Changed"]).await.unwrap();
        server.stop_serving();
        assert!(server.search(&["-s", "base"]).await.is_err());
        server.start_serving().await.unwrap();
        assert_eq!(search(&server, &["(sn=Changed)"]).await.entries, 1);
    }
}

mod freeipa {
    use super::*;

    #[tokio::test]
    async fn people_show_the_groups_that_they_are_in_by_way_of_others_too() {
        let server = start().await;
        server.add_freeipa_accounts().await.unwrap();
        assert_eq!(search(&server, &["-b", FREEIPA_DN, "(ipaUniqueID=*)"]).await.entries, 6);
        let found = server.search(&["-b", FREEIPA_DN, "(uid=alice)", "memberOf"]).await.unwrap();
        let groups: Vec<_> = found.lines().filter_map(|line| line.strip_prefix("memberOf: cn=")).collect();
        assert!(groups.iter().any(|name| name.starts_with("editors,")), "{found}");
        assert!(groups.iter().any(|name| name.starts_with("staff,")), "{found}");
    }

    #[tokio::test]
    async fn a_disabled_account_shows_it_only_to_who_asks() {
        let server = start().await;
        server.add_freeipa_accounts().await.unwrap();
        assert_eq!(search(&server, &["-b", FREEIPA_DN, "(nsAccountLock=TRUE)"]).await.entries, 1);
        let unasked = server.search(&["-b", FREEIPA_DN, "(uid=bob)"]).await.unwrap();
        assert!(!unasked.contains("nsAccountLock"), "{unasked}");
        let asked = server.search(&["-b", FREEIPA_DN, "(uid=bob)", "nsAccountLock"]).await.unwrap();
        assert!(asked.contains("nsAccountLock: TRUE"), "{asked}");
    }
}

mod pages {
    use super::*;

    #[tokio::test]
    async fn all_pages_of_a_search_but_the_last_have_the_same_cookie() {
        let server = start().await;
        let answer = search(&server, &["-E", PAGES_OF_20, PEOPLE]).await;
        assert_eq!((answer.result.as_str(), answer.entries), ("0 Success", 200));
        let (last, others) = answer.cookies.split_last().unwrap();
        assert_eq!(last, "");
        // "0": the number of the search among those that are open on the connection.
        assert_eq!(others, ["MA=="; 9]);
    }

    #[tokio::test]
    async fn they_can_be_forbidden() {
        let server = start().await;
        server.replace(CONFIG_DN, "nsslapd-maxsimplepaged-per-conn", &["0"]).await.unwrap();
        let answer = search(&server, &["-E", PAGES_OF_20, PEOPLE]).await;
        assert_eq!((answer.result.as_str(), answer.entries), ("53 Server is unwilling to perform", 0));
    }
}

mod limits {
    use super::*;

    #[tokio::test]
    async fn the_number_of_entries_is_limited_page_by_page() {
        let server = start().await;
        server.replace(READER_DN, "nsSizeLimit", &["50"]).await.unwrap();
        let exceeded = |answer: &Answer| answer.result == "4 Size limit exceeded" && answer.entries == 50;
        let unpaged = search(&server, &[PEOPLE]).await;
        assert!(exceeded(&unpaged), "{unpaged:?}");
        let large_pages = search(&server, &["-E", "pr=60/noprompt", PEOPLE]).await;
        assert!(exceeded(&large_pages), "{large_pages:?}");
        let small_pages = search(&server, &["-E", PAGES_OF_20, PEOPLE]).await;
        assert_eq!((small_pages.result.as_str(), small_pages.entries), ("0 Success", 200));
    }

    #[tokio::test]
    async fn pages_may_have_a_limit_of_their_own() {
        let server = start().await;
        server.replace(READER_DN, "nsSizeLimit", &["50"]).await.unwrap();
        server.replace(READER_DN, "nsPagedSizeLimit", &["70"]).await.unwrap();
        let answer = search(&server, &["-E", "pr=60/noprompt", PEOPLE]).await;
        assert_eq!((answer.result.as_str(), answer.entries), ("0 Success", 200));
        let answer = search(&server, &["-E", "pr=100/noprompt", PEOPLE]).await;
        assert_eq!((answer.result.as_str(), answer.entries), ("4 Size limit exceeded", 70));
    }

    #[tokio::test]
    async fn looking_through_too_many_candidates_ends_a_search_between_two_pages() {
        let server = start().await;
        server.replace(READER_DN, "nsLookThroughLimit", &["30"]).await.unwrap();
        let answer = search(&server, &["-E", PAGES_OF_20, "(objectClass=*)"]).await;
        assert_eq!((answer.result.as_str(), answer.entries), ("11 Administrative limit exceeded", 30));
        assert_eq!(answer.cookies.first().unwrap(), "MA==");
    }
}

mod rights {
    use super::*;

    #[tokio::test]
    async fn who_may_see_nothing_gets_an_empty_success() {
        let server = start().await;
        server.replace(BASE_DN, "aci", &[]).await.unwrap();
        let everything = search(&server, &["(objectClass=*)"]).await;
        assert_eq!((everything.result.as_str(), everything.entries), ("0 Success", 0));
        let top = search(&server, &["-s", "base", "(objectClass=*)"]).await;
        assert_eq!((top.result.as_str(), top.entries), ("0 Success", 0));
    }
}
