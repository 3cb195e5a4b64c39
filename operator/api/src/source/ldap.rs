//! The LDAP source.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::references::{CaBundle, SecretReference};

/// How to read people and groups from an LDAP directory.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "has(self.urls) != has(self.domain)",
        "name the servers in exactly one way: urls, or the domain whose SRV records name them"
    ),
    validation = (
        "!has(self.urls) || self.urls.all(u, u.startsWith('ldaps://')) || self.urls.all(u, u.startsWith('ldap://'))",
        "urls mix ldaps:// and ldap://; write all of them with the same scheme, so that a failover cannot change how the password is protected"
    ),
    validation = (
        "!has(self.urls) || !(has(self.tls) && has(self.tls.startTLS) && self.tls.startTLS) || self.urls.all(u, u.startsWith('ldap://'))",
        "startTLS upgrades a plain connection; write the urls as ldap://, or remove tls.startTLS and keep ldaps://"
    ),
    validation = (
        "!has(self.urls) || self.urls.all(u, u.startsWith('ldaps://')) || (has(self.tls) && ((has(self.tls.startTLS) && self.tls.startTLS) || has(self.tls.plaintext)))",
        "an ldap:// URL sends the password in clear text; write ldaps://, or set tls.startTLS: true, or accept it with tls.plaintext: AllowPasswordsInClearText"
    ),
    validation = (
        "!has(self.urls) || !(has(self.tls) && has(self.tls.plaintext)) || self.urls.all(u, u.startsWith('ldap://'))",
        "tls.plaintext says that nothing is encrypted, but the urls are ldaps://; remove tls.plaintext"
    ),
    validation = (
        "!(has(self.bind.external) && has(self.tls) && has(self.tls.plaintext))",
        "a client certificate needs TLS; remove tls.plaintext, and write the urls as ldaps:// or set tls.startTLS: true"
    )
)]
pub struct LdapSource {
    /// Servers that hold the same directory, such as `ldaps://dc1.example.com`; tried in this order
    /// until one answers. One that failed within the last ten minutes is tried last. A read is of one server, whole;
    /// when it is another one than the last time, removals wait for a second read, because replicas lag behind each
    /// other. Either all `ldaps://` (port 636 unless given) or all `ldap://` (389).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 8),
        inner(
            length(min = 8, max = 255),
            regex(pattern = r"^ldaps?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$")
        )
    )]
    pub urls: Vec<String>,
    /// Instead of `urls`: the domain whose DNS names the servers (SRV records `_ldap._tcp`), such as the domain of
    /// Active Directory. Only servers within the domain are used. They are spoken to by LDAPS, at port 636 where the
    /// records say 389, unless `tls.startTLS` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$")
    )]
    pub domain: Option<String>,
    /// How the connection is protected. Left out, `ldaps://` is checked against the authorities that
    /// the operator's image trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<LdapTls>,
    /// As whom the directory is read. The account needs to read, and nothing else.
    pub bind: LdapBind,
    /// What the directory calls things. The schema fills in every part of `mapping` and every filter that is left
    /// out; with `Custom` nothing is filled in.
    #[serde(default)]
    pub schema: LdapSchema,
    /// With `schema: OpenLDAP`: whether accounts that the password policy (slapo-ppolicy) has locked for good are
    /// inactive. The account must be allowed to read `pwdAccountLockedTime`.
    #[serde(default)]
    pub locked_accounts: LockedAccounts,
    /// Where people are found. The results are joined; a person found twice counts once.
    #[schemars(length(min = 1, max = 16))]
    pub users: Vec<LdapSearch>,
    /// Where groups are found. Empty: no groups are read, and none is touched in the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub groups: Vec<LdapSearch>,
    /// Only people and groups with a primary address in one of these domains, and people without one, which are
    /// reported. Whoever moves to another domain leaves. Other groups pass their members on to the groups that they are
    /// in. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub only_mail_domains: Vec<String>,
    /// Only people who are members of one of these groups, each given by its distinguished name, or of groups within
    /// them, wherever these are. A group that cannot be read whole, or that is not shown, fails the read. Empty:
    /// everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 1024)))]
    pub only_groups: Vec<String>,
    /// Referrals are followed to these hosts alone. Without it, a directory of which a part is on other servers cannot
    /// be read. What every domain of Active Directory refers to and holds no people (its configuration and its DNS
    /// zones) is passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_referrals: Option<FollowReferrals>,
    /// Where alias entries (RFC 4511 §4.5.1.3) are followed. Active Directory has none.
    #[serde(default)]
    pub dereference_aliases: DereferenceAliases,
    /// Entries asked for per page (RFC 2696). A server may answer with fewer.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: i32,
    /// How long to wait for a connection or for the next part of an answer before the read fails.
    #[serde(default = "default_timeout")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub timeout: String,
}

/// To where referrals are followed.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FollowReferrals {
    /// Host names or addresses, as they stand in the referrals. The account of `bind` is shown to them, over
    /// connections with the same protection as those to `urls`; to no other host is anything ever sent.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    pub hosts: Vec<String>,
}

/// Where alias entries are followed.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum DereferenceAliases {
    /// Nowhere.
    #[default]
    Never,
    /// Below the base of a search.
    Searching,
    /// At the base of a search.
    Finding,
    /// Both.
    Always,
}

/// Protection of the connection to an LDAP server.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "!(has(self.plaintext) && has(self.startTLS) && self.startTLS)",
        "startTLS and plaintext exclude each other; remove plaintext"
    ),
    validation = (
        "!(has(self.plaintext) && has(self.caBundle))",
        "caBundle has no meaning without encryption; remove plaintext, or remove caBundle"
    )
)]
pub struct LdapTls {
    /// Upgrade an `ldap://` connection by StartTLS (RFC 4511 §4.14) before anything else is sent. A
    /// server that refuses is not spoken to.
    #[serde(rename = "startTLS", skip_serializing_if = "Option::is_none")]
    pub start_tls: Option<bool>,
    /// The authorities that may vouch for the server. They are read at every run, so new ones count at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// Accepts that everybody on the network path can read the password and change the answers. For
    /// tests, and for servers that can do nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<LdapPlaintext>,
}

/// The opt-in to an unprotected connection.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum LdapPlaintext {
    /// The password, the people and the groups travel unencrypted.
    AllowPasswordsInClearText,
}

/// As whom to bind. Exactly one way is given.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.simple), has(self.external), has(self.anonymous)].exists_one(x, x)",
    "bind in exactly one way: simple (with a secretRef), external (with a secretRef), or anonymous: {}"
))]
pub struct LdapBind {
    /// A simple bind (RFC 4513 §5.1.3) with a name and a password from a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simple: Option<SimpleBind>,
    /// SASL EXTERNAL (RFC 4422 appendix A): as whoever the client certificate of the TLS connection says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalBind>,
    /// No bind at all: the directory shows its people to everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<AnonymousBind>,
}

/// A name and a password.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimpleBind {
    /// Secret with the keys `username` (the bind DN) and `password`.
    pub secret_ref: SecretReference,
}

/// A client certificate.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalBind {
    /// Secret with the keys `tls.crt` (the certificate and those that vouch for it) and `tls.key`, both as PEM, as a
    /// Secret of the type `kubernetes.io/tls` has them. It is read at every run, so a renewed one is used at once.
    pub secret_ref: SecretReference,
}

/// Anonymous access; has no settings.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnonymousBind {}

/// What a kind of directory calls things. Every part can be overridden by `mapping` and by the filters.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum LdapSchema {
    /// OpenLDAP. People are inetOrgPerson, known by `entryUUID`, with `mail`, `givenName`, `sn`, `cn` and further
    /// addresses in `mailLocalAddress` and `mailAlternateAddress`. Groups are groupOfNames, groupOfUniqueNames and
    /// posixGroup with `cn`, `description`, `mail` and the members in `member`, `uniqueMember` and `memberUid`.
    #[default]
    OpenLDAP,
    /// Active Directory. People are users, shared mailboxes and contacts, known by `objectGUID` (a UUID), never
    /// computers or the system's own mailboxes. The primary address is the `SMTP:` one of `proxyAddresses`, else `mail`;
    /// the other mail addresses of `proxyAddresses` are aliases. Names are `givenName`, `sn` and `displayName`. An
    /// account that `userAccountControl` disables is inactive, unless it is that of a shared mailbox, a room or
    /// equipment. Groups are those with an address, without the built-in ones; who has a group as primary group is a
    /// member. Groups without an address are not synchronised and pass their members on to the groups that they are in,
    /// unless the search that finds them has a filter of its own.
    ActiveDirectory,
    /// The identity management of Red Hat and Fedora. People and groups are known by `ipaUniqueID`; who has
    /// `nsAccountLock` is inactive. Otherwise as OpenLDAP, with members in `member`.
    FreeIPA,
    /// 389 Directory Server. People and groups are known by `nsUniqueId`; who has `nsAccountLock` is inactive.
    /// Otherwise as OpenLDAP.
    #[serde(rename = "389DirectoryServer")]
    DirectoryServer389,
    /// Nothing is assumed: `mapping` names every attribute that is to be used.
    Custom,
}

/// What becomes of accounts that OpenLDAP's password policy has locked for good.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum LockedAccounts {
    /// They count like others.
    #[default]
    Ignored,
    /// They are inactive while `pwdAccountLockedTime` is `000001010000Z`. An account that is locked for a while after
    /// wrong passwords is not.
    Inactive,
}

/// One search.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LdapSearch {
    /// Distinguished name of the entry at which the search starts.
    #[serde(rename = "baseDN")]
    #[schemars(length(min = 1, max = 1024))]
    pub base_dn: String,
    /// How far the search reaches below the base.
    #[serde(default)]
    pub scope: LdapScope,
    /// Which entries count (RFC 4515). Left out, those that are people or groups in `schema`. Do not filter on an
    /// attribute that is mapped: if the account loses the right to read it, everybody would look like a leaver; a plan
    /// warns of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 4096), regex(pattern = r"^\(.*\)$"))]
    pub filter: Option<String>,
}

/// Reach of a search (RFC 4511 §4.5.1.2).
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum LdapScope {
    /// The base and everything below it.
    #[default]
    Subtree,
    /// The entries directly below the base.
    OneLevel,
    /// The base alone.
    Base,
}

fn default_page_size() -> i32 {
    1000
}

fn default_timeout() -> String {
    "30s".into()
}
