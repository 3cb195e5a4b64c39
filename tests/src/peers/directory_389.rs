//! A real 389 Directory Server on the loopback interface.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};

use super::company::Company;
use super::ldap_account::{LdapAccount, deletion, replacement};
use super::processes::{Processes, free_port};
use super::slapd::BASE_DN;
use super::tools::program;

/// The account that may read everything but passwords. Its own limits are attributes of its entry, to be set with
/// [`Directory389::replace`]: `nsSizeLimit`, `nsPagedSizeLimit`, `nsLookThroughLimit`, `nsPagedLookThroughLimit`.
pub const READER_DN: &str = "cn=reader,dc=example,dc=com";
/// The account that may do everything, without limits.
pub const ADMIN_DN: &str = "cn=Directory Manager";
/// Where the people and groups are of [`Directory389::add_freeipa_accounts`].
pub const FREEIPA_DN: &str = "cn=accounts,dc=example,dc=com";
/// The entry of the server's configuration, with the limits of everybody, as `nsslapd-sizelimit`.
pub const CONFIG_DN: &str = "cn=config";

const MEMBER_OF_DN: &str = "cn=MemberOf Plugin,cn=plugins,cn=config";
const READY_LIMIT: Duration = Duration::from_secs(60);
const ADMIN_PASSWORD: &str = "administrator-of-a-test-directory";
const READER_PASSWORD: &str = "reader-of-a-test-directory";
const NAME: &str = "ns-slapd";
/// The configuration that the package keeps for new servers, with words between percent signs to be filled in.
const TEMPLATE: &str = "/usr/share/dirsrv/data/template-dse.ldif";

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Directory389 {
    processes: Processes,
    port: u16,
    reader: LdapAccount,
    admin: LdapAccount,
    reader_password: SecretString,
}

impl Directory389 {
    /// Starts a server with the entries of a company.
    pub async fn start(company: &Company) -> Result<Self> {
        // A path with `slapd-` in it would be taken for that of an instance, and for its name what follows.
        let processes = Processes::new("389")?;
        let folder = processes.folder().to_owned();
        let port = free_port()?;
        write_configuration(&folder, port)?;
        let reader_password = SecretString::from(READER_PASSWORD);
        let reader = LdapAccount::new(&folder, READER_DN, &reader_password)?;
        let admin = LdapAccount::new(&folder, ADMIN_DN, &ADMIN_PASSWORD.into())?;
        let mut server = Self { processes, port, reader, admin, reader_password };
        server.start_serving().await?;
        server.change(&top(&server.reader_password)).await?;
        server.change(&company.ldif()).await?;
        Ok(server)
    }

    /// Adds people and groups as `FreeIPA` keeps them (`tests/peers/389-ds/freeipa.ldif`), with `memberOf`.
    pub async fn add_freeipa_accounts(&self) -> Result<()> {
        self.replace(CONFIG_DN, "nsslapd-dynamic-plugins", &["on"]).await?;
        self.replace(MEMBER_OF_DN, "memberOfAutoAddOC", &["nsMemberOf"]).await?;
        self.replace(MEMBER_OF_DN, "nsslapd-pluginEnabled", &["on"]).await?;
        self.change(include_str!("../../peers/389-ds/freeipa.ldif")).await
    }

    /// The address; there is no TLS.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// The password of [`READER_DN`].
    pub fn reader_password(&self) -> &SecretString {
        &self.reader_password
    }

    /// Applies changes in the notation of LDIF, additions included (`changetype: add`, as entries without one are).
    pub async fn change(&self, ldif: &str) -> Result<()> {
        self.admin.change(&self.url(), ldif).await
    }

    /// Removes an entry.
    pub async fn delete(&self, dn: &str) -> Result<()> {
        self.change(&deletion(dn)).await
    }

    /// Sets an attribute of an entry to these values; to none removes it.
    pub async fn replace(&self, dn: &str, attribute: &str, values: &[&str]) -> Result<()> {
        self.change(&replacement(dn, attribute, values)).await
    }

    /// What `ldapsearch` prints to the reader as plain LDIF; the arguments come after those for the connection.
    pub async fn search(&self, arguments: &[&str]) -> Result<String> {
        self.reader.search(&self.url(), BASE_DN, arguments).await
    }

    /// The account of the reader, for searches of which more is wanted than the entries.
    pub fn reader(&self) -> &LdapAccount {
        &self.reader
    }

    /// Stops the server; its data stay for [`Self::start_serving`].
    pub fn stop_serving(&mut self) {
        self.processes.stop(NAME);
    }

    /// Starts the server again, at the same address.
    pub async fn start_serving(&mut self) -> Result<()> {
        let server = program(NAME).context("ns-slapd is missing: run `cargo xtask test --only tools`")?;
        let folder = self.processes.folder().to_owned();
        // With a debug level it stays in the foreground; level 0 prints errors alone.
        let mut command = Command::new(server);
        command.args(["-d", "0", "-D"]).arg(folder.join("config")).arg("-i").arg(folder.join("run/pid"));
        self.processes.spawn(NAME, &mut command)?;
        let port = self.port;
        self.processes
            .wait_until("a directory server that accepts connections", READY_LIMIT, || async {
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
                Ok(())
            })
            .await
    }

    /// Stops the server and removes its data; the same as dropping it.
    pub fn stop(self) {}
}

impl Drop for Directory389 {
    fn drop(&mut self) {
        // It takes five seconds to stop, to save what is thrown away here.
        self.processes.kill(NAME);
    }
}

/// Fills in the package's template. What usually does that (`dscreate`) wants a service manager.
fn write_configuration(folder: &Path, port: u16) -> Result<()> {
    let names = ["config", "config/schema", "lock", "tmp", "cert", "ldif", "bak", "run", "inst", "log", "db"];
    for name in names {
        fs::create_dir(folder.join(name))?;
    }
    let template = fs::read_to_string(TEMPLATE)
        .with_context(|| format!("cannot read {TEMPLATE}: run `cargo xtask test --only tools`"))?;
    let path = |name: &str| folder.join(name).display().to_string();
    // It changes to this account, and does not start without one.
    let user = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?.trim().to_owned();
    let listen = format!("{port}\nnsslapd-listenhost: 127.0.0.1");
    let admin_password = format!("{{CLEAR}}{ADMIN_PASSWORD}");
    let mut filled = format!("{template}\n\n{}", include_str!("../../peers/389-ds/database.ldif"));
    for (word, value) in [
        ("%schema_dir%", path("config/schema").as_str()),
        ("%lock_dir%", &path("lock")),
        ("%tmp_dir%", &path("tmp")),
        ("%cert_dir%", &path("cert")),
        ("%ldif_dir%", &path("ldif")),
        ("%bak_dir%", &path("bak")),
        ("%run_dir%", &path("run")),
        ("%inst_dir%", &path("inst")),
        // Where errors quote it.
        ("%log_dir%/errors", &path(&format!("{NAME}.log"))),
        ("%log_dir%", &path("log")),
        ("%config_dir%", &path("config")),
        ("%db_dir%", &path("db")),
        ("%db_home_dir%", &path("db")),
        ("%db_lib%", "bdb"),
        ("%ds_user%", &user),
        ("%ds_suffix%", BASE_DN),
        ("%fqdn%", "localhost"),
        ("%ds_port%", &listen),
        ("%rootdn%", ADMIN_DN),
        ("%ds_passwd%", &admin_password),
        ("%ldapi_enabled%", "off"),
        ("%ldapi_autobind%", "off"),
        ("%ldapi%", &path("run/ldapi")),
    ] {
        filled = filled.replace(word, value);
    }
    fs::write(folder.join("config/dse.ldif"), records_once(&filled))?;
    // A file of its own is also what the server takes for the place of changes to the schema.
    fs::write(folder.join("config/schema/99user.ldif"), include_str!("../../peers/389-ds/freeipa-schema.ldif"))?;
    Ok(())
}

/// The records without comments and without those that come a second time, both of which keep the server from
/// starting.
fn records_once(ldif: &str) -> String {
    let lines = ldif.lines().filter(|line| !line.starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut seen = HashSet::new();
    let records = text.split("\n\n").map(str::trim).filter(|record| {
        let name = record.lines().next().unwrap_or_default();
        !name.is_empty() && seen.insert(name.to_ascii_lowercase())
    });
    records.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// The entries above and beside the company's.
fn top(reader_password: &SecretString) -> String {
    include_str!("../../peers/389-ds/top.ldif").replace("%reader_password%", reader_password.expose_secret())
}
