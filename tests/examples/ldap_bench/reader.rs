//! The operator's reader as a process of its own, and what `ldapsearch` is to do in its place.

use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Error, Result, ensure};
use directory_sync_api::convert;
use directory_sync_api::source::LdapSchema;
use directory_sync_core::mapping::{GroupMapping, UserMapping};
use directory_sync_sources::ldap::{Bind, LdapConfig, LdapSource, Scope, Search, Tls};
use directory_sync_tests::peers::company::active_directory::{self, LARGE_GROUP_SIZE};
use directory_sync_tests::peers::{samba, slapd};
use secrecy::{ExposeSecret, SecretString};

use crate::ldap_mapping;

const PEOPLE: (&str, &str) = ("ou=People,dc=example,dc=com", "(objectClass=inetOrgPerson)");
/// One of them, because a directory without people is no directory.
const ONE_PERSON: (&str, &str) = ("ou=People,dc=example,dc=com", "(employeeNumber=1)");
const GROUP: (&str, &str) = ("ou=Groups,dc=example,dc=com", "(objectClass=groupOfNames)");
const SCHEMA: LdapSchema = LdapSchema::ActiveDirectory;

const URL: &str = "LDAP_BENCH_URL";
const PASSWORD: &str = "LDAP_BENCH_PASSWORD";
const AUTHORITY: &str = "LDAP_BENCH_AUTHORITY";

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// 100,000 people in OpenLDAP.
    People,
    /// 1,000,000 of them.
    Large,
    /// One group of 100,000 members.
    Group,
    /// A domain of 2,000 people in Samba, with a group of 1,800 members.
    Samba,
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::People, Self::Large, Self::Group, Self::Samba];
        let known = all.map(Self::name).join(", ");
        all.into_iter().find(|subject| subject.name() == name).with_context(|| format!("{name} is none of {known}"))
    }
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Large => "large",
            Self::Group => "group",
            Self::Samba => "samba",
        }
    }

    /// The searches by which `ldapsearch` gets what the operator reads, as its arguments. Of a group that the server
    /// gives out in ranges it gets the first only.
    pub(crate) fn searches(self) -> Vec<Vec<String>> {
        let search = |(base, filter): (&str, &str), size: usize, attributes: &[String]| {
            let page = format!("pr={size}/noprompt");
            let words = ["-b", base, "-E", &page, filter].map(str::to_owned);
            words.into_iter().chain(attributes.iter().cloned()).collect::<Vec<_>>()
        };
        let (people, groups) = (ldap_mapping::people(), ldap_mapping::groups());
        match self {
            Self::People | Self::Large => vec![search(PEOPLE, 1000, people.attributes())],
            Self::Group => {
                vec![search(ONE_PERSON, 1000, people.attributes()), search(GROUP, 1000, groups.attributes())]
            }
            Self::Samba => {
                let (people, groups) = active_directory_mapping();
                let base = active_directory::BASE_DN;
                vec![
                    search((base, SCHEMA.user_filter()), 500, people.attributes()),
                    search((base, SCHEMA.group_filter()), 500, groups.attributes()),
                ]
            }
        }
    }
}

/// Where and as whom to read.
pub(crate) struct Account {
    pub(crate) url: String,
    pub(crate) password: SecretString,
    /// A file with the certificate of the authority to trust.
    pub(crate) authority: Option<PathBuf>,
}

impl Account {
    /// The process that reads this.
    pub(crate) fn reader(&self, subject: Subject) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["read", subject.name()]).env(URL, &self.url).env(PASSWORD, self.password.expose_secret());
        if let Some(authority) = &self.authority {
            command.env(AUTHORITY, authority);
        }
        Ok(command)
    }
}

/// Reads, as the process that [`Account::reader`] starts.
pub(crate) async fn read(subject: Subject) -> Result<()> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("no {name} in the environment"));
    let urls = vec![variable(URL)?];
    let password = variable(PASSWORD)?.into();
    let below = |(base, filter): (&str, &str)| Search {
        base_dn: base.to_owned(),
        scope: Scope::Subtree,
        filter: filter.to_owned(),
    };
    let bind = |username: &str| Bind::Simple { username: username.to_owned(), password };
    let config = match subject {
        Subject::People | Subject::Large | Subject::Group => {
            let has_group = subject == Subject::Group;
            LdapConfig {
                tls: Tls { plaintext: true, ..Tls::default() },
                users: vec![below(if has_group { ONE_PERSON } else { PEOPLE })],
                groups: if has_group { vec![below(GROUP)] } else { Vec::new() },
                group_mapping: has_group.then(ldap_mapping::groups),
                ..LdapConfig::new(urls, bind(slapd::READER_DN), ldap_mapping::people())
            }
        }
        Subject::Samba => {
            let (people, groups) = active_directory_mapping();
            let authority = std::fs::read_to_string(variable(AUTHORITY)?)?;
            LdapConfig {
                tls: Tls { ca_bundle: Some(authority), ..Tls::default() },
                users: vec![below((active_directory::BASE_DN, SCHEMA.user_filter()))],
                groups: vec![below((active_directory::BASE_DN, SCHEMA.group_filter()))],
                primary_groups: true,
                page_size: 500,
                group_mapping: Some(groups),
                ..LdapConfig::new(urls, bind(samba::READER_DN), people)
            }
        }
    };
    let read = LdapSource::new(config)?.read_all().await?;
    let snapshot = read.snapshot();
    let (users, groups) = (snapshot.counts().users, snapshot.counts().groups);
    let largest = snapshot.groups().map(|group| group.members().len()).max().unwrap_or(0);
    match subject {
        Subject::People => ensure!(users == 100_000, "{users} people were read"),
        Subject::Large => ensure!(users == 1_000_000, "{users} people were read"),
        Subject::Group => ensure!((users, groups) == (1, 1), "{users} people and {groups} groups were read"),
        Subject::Samba => ensure!(users > 2000 && largest >= LARGE_GROUP_SIZE, "{users} people, {largest} in a group"),
    }
    // Nothing of it is needed any more, and no one has to wait until it is taken apart.
    std::process::exit(0);
}

/// The mapping of the schema for Active Directory.
fn active_directory_mapping() -> (Arc<UserMapping>, Arc<GroupMapping>) {
    let spec = serde_json::json!({
        "source": { "ldap": {
            "urls": ["ldaps://dc1.example.com"],
            "schema": "ActiveDirectory",
            "bind": { "anonymous": {} },
            "users": [{ "baseDN": active_directory::BASE_DN }],
        } },
        "target": { "scim": {
            "url": "https://app.example.com/scim/v2",
            "auth": { "bearerTokenSecretRef": { "name": "token", "key": "token" } },
        } },
    });
    let (people, groups) = convert::mapping(&serde_json::from_value(spec).unwrap()).unwrap();
    (Arc::new(people), Arc::new(groups))
}
