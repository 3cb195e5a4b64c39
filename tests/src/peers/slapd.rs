//! A real OpenLDAP server on the loopback interface.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};

use super::company::Company;
use super::ldap_account::{LdapAccount, deletion, replacement};
use super::processes::{Kept, Processes, free_port};
use super::tls::ServerCertificate;
use super::tools::{program, run};

/// The suffix of the only database.
pub const BASE_DN: &str = "dc=example,dc=com";
/// The account that may read everything but passwords.
pub const READER_DN: &str = "cn=reader,dc=example,dc=com";
/// The account that may do everything, without limits, with the configuration (`cn=config`) as well.
pub const ADMIN_DN: &str = "cn=admin,dc=example,dc=com";
/// Where everything is that is not regular; only with [`SlapdOptions::oddities`].
pub const ODDITIES_DN: &str = "ou=Oddities,dc=example,dc=com";

const READY_LIMIT: Duration = Duration::from_secs(60);
const ADMIN_PASSWORD: &str = "administrator-of-a-test-directory";
const NAME: &str = "slapd";
const DATABASE_DN: &str = "olcDatabase={1}mdb,cn=config";
/// Who may read what, in the words of slapd.access(5).
const ACCESS: [&str; 2] = [
    "to attrs=userPassword by anonymous auth by * none",
    "to * by dn.exact=\"cn=reader,dc=example,dc=com\" read by * none",
];

/// How a [`Slapd`] is set up.
#[derive(Clone, Debug)]
pub struct SlapdOptions {
    /// The password of [`READER_DN`].
    pub reader_password: SecretString,
    /// The reader's limits in the words of slapd.conf(5), `limits`: `size=unlimited` to read all, `size=100` to get
    /// `sizeLimitExceeded` after a hundred entries, paged or not, `size.pr=50` to forbid pages of more than fifty.
    pub reader_limits: String,
    /// With a certificate the server offers LDAPS and StartTLS.
    pub certificate: Option<ServerCertificate>,
    /// With this authority's certificate (PEM), a client's certificate from it for `CN=reader` makes the client
    /// [`READER_DN`] (SASL EXTERNAL).
    pub client_authority_pem: Option<String>,
    /// What the server does beyond the ordinary.
    pub overlays: Vec<Overlay>,
    /// Adds [`ODDITIES_DN`]: Unix accounts and groups, groups of unique names, other mail attributes, aliases, a
    /// referral, passwords of all kinds; with [`Overlay::PasswordPolicy`] also people who are locked. Each has its comment in
    /// `tests/peers/slapd`.
    pub oddities: bool,
}

/// Something that slapd does only if it is asked to; see slapd.overlays(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// People show which groups name them as `member`, in `memberOf`.
    MemberOf,
    /// Accounts can be locked, in `pwdAccountLockedTime`.
    PasswordPolicy,
    /// Clients can be told of changes (RFC 4533).
    SyncProvider,
}

impl Default for SlapdOptions {
    fn default() -> Self {
        Self {
            reader_password: "reader-of-a-test-directory".into(),
            reader_limits: "size=unlimited time=unlimited".to_owned(),
            certificate: None,
            client_authority_pem: None,
            overlays: Vec::new(),
            oddities: false,
        }
    }
}

impl Overlay {
    fn name(self) -> &'static str {
        match self {
            Self::MemberOf => "memberof",
            Self::PasswordPolicy => "ppolicy",
            Self::SyncProvider => "syncprov",
        }
    }

    /// The record of the configuration, with the settings that the server does not have by itself.
    fn record(self) -> String {
        let (class, settings) = match self {
            Self::MemberOf => ("olcMemberOf", "olcMemberOfRefInt: TRUE\n"),
            Self::PasswordPolicy => ("olcPPolicyConfig", ""),
            Self::SyncProvider => ("olcSyncProvConfig", "olcSpSessionlog: 1000\n"),
        };
        let name = self.name();
        format!(
            "\ndn: olcOverlay={name},{DATABASE_DN}\nobjectClass: olcOverlayConfig\nobjectClass: {class}\n\
             olcOverlay: {name}\n{settings}"
        )
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Slapd {
    processes: Processes,
    port: u16,
    tls_port: Option<u16>,
    reader: LdapAccount,
    admin: LdapAccount,
    reader_password: SecretString,
}

impl Slapd {
    /// Starts a server with the entries of a company.
    pub async fn start(options: &SlapdOptions, company: &Company) -> Result<Self> {
        let processes = Processes::new(NAME)?;
        let folder = processes.folder().to_owned();
        fs::create_dir(folder.join("config"))?;
        fs::create_dir(folder.join("data"))?;
        fs::write(folder.join("config.ldif"), configuration(&folder, options)?)?;
        load(&folder, "0", "config.ldif")?;

        let mut data = std::io::BufWriter::new(fs::File::create(folder.join("data.ldif"))?);
        write_top(&mut data, &options.reader_password)?;
        company.write_ldif(&mut data)?;
        if options.oddities {
            writeln!(data, "\n{}", include_str!("../../peers/slapd/oddities.ldif"))?;
            writeln!(data, "\n{}", include_str!("../../peers/slapd/passwords.ldif"))?;
            if options.overlays.contains(&Overlay::PasswordPolicy) {
                writeln!(data, "\n{}", include_str!("../../peers/slapd/locked.ldif"))?;
            }
        }
        data.flush()?;
        load(&folder, "1", "data.ldif")?;
        fs::remove_file(folder.join("data.ldif"))?;

        let tls_port = if options.certificate.is_some() { Some(free_port()?) } else { None };
        let reader = LdapAccount::new(&folder, READER_DN, &options.reader_password)?;
        let admin = LdapAccount::new(&folder, ADMIN_DN, &ADMIN_PASSWORD.into())?;
        let reader_password = options.reader_password.clone();
        let mut slapd = Self { processes, port: free_port()?, tls_port, reader, admin, reader_password };
        slapd.start_serving().await?;
        if options.overlays.contains(&Overlay::MemberOf) {
            // The overlay sees changes alone, not what has been loaded.
            for group in &company.groups {
                let members: Vec<_> = group.members.iter().map(String::as_str).collect();
                slapd.replace(&group.dn(), "member", &members).await?;
            }
        }
        Ok(slapd)
    }

    /// The address without TLS, or for StartTLS if there is a certificate.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// The address of LDAPS, if there is a certificate.
    pub fn ldaps_url(&self) -> Option<String> {
        self.tls_port.map(|port| format!("ldaps://127.0.0.1:{port}"))
    }

    /// The password of [`READER_DN`].
    pub fn reader_password(&self) -> &SecretString {
        &self.reader_password
    }

    /// The file with the password of [`ADMIN_DN`], for client programs (`-y`).
    pub fn admin_password_file(&self) -> Result<PathBuf> {
        Ok(self.admin.password_file().to_owned())
    }

    /// The account of the reader, for searches of which more is wanted than the entries.
    pub fn reader(&self) -> &LdapAccount {
        &self.reader
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

    /// Puts these rules before the usual ones, in the words of slapd.access(5): `to attrs=mail by * none` hides an
    /// attribute, `to * by anonymous auth by * none` everything. No rules bring back the usual ones alone.
    pub async fn restrict(&self, rules: &[&str]) -> Result<()> {
        self.replace(DATABASE_DN, "olcAccess", &[rules, &ACCESS].concat()).await
    }

    /// Changes the reader's limits; see [`SlapdOptions::reader_limits`].
    pub async fn limit(&self, reader_limits: &str) -> Result<()> {
        self.replace(DATABASE_DN, "olcLimits", &[&limits(reader_limits)]).await
    }

    /// What `ldapsearch` prints to the reader as plain LDIF; the arguments come after those for the connection.
    pub async fn search(&self, arguments: &[&str]) -> Result<String> {
        self.reader.search(&self.url(), BASE_DN, arguments).await
    }

    /// `ldapsearch` for the reader at one of the server's addresses, with everything but what to search for; lines are
    /// not wrapped.
    pub fn search_command(&self, url: &str) -> Result<Command> {
        self.reader.search_command(url, BASE_DN)
    }

    /// Gives a server that has a certificate, and is stopped, another one.
    pub fn set_certificate(&self, certificate: &ServerCertificate) -> Result<()> {
        let folder = self.processes.folder();
        fs::write(folder.join("server.crt"), &certificate.certificate_pem)?;
        Ok(fs::write(folder.join("server.key"), &certificate.key_pem)?)
    }

    /// Stops the server; its data stay for [`Self::start_serving`].
    pub fn stop_serving(&mut self) {
        self.processes.stop(NAME);
    }

    /// Starts the server again, at the same addresses.
    pub async fn start_serving(&mut self) -> Result<()> {
        let urls = [Some(self.url()), self.ldaps_url()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let folder = self.processes.folder().to_owned();
        self.processes.spawn(
            NAME,
            // With a debug level it stays in the foreground; level 0 prints nothing but errors of its start.
            slapd_program("slapd")?.args(["-d", "0", "-h", &urls, "-F"]).arg(folder.join("config")),
        )?;
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

    /// Leaves it running when this process ends.
    pub fn keep(self) -> Kept {
        self.processes.keep()
    }
}

fn configuration(folder: &Path, options: &SlapdOptions) -> Result<String> {
    let mut tls = "olcTLSVerifyClient: never".to_owned();
    if let Some(certificate) = &options.certificate {
        let file = |name: &str| folder.join(name).display().to_string();
        fs::write(file("server.crt"), &certificate.certificate_pem)?;
        fs::write(file("server.key"), &certificate.key_pem)?;
        if let Some(authority) = &options.client_authority_pem {
            fs::write(file("clients.crt"), authority)?;
            tls = format!(
                "olcTLSCACertificateFile: {}\nolcTLSVerifyClient: try\nolcAuthzRegexp: \"^cn=reader$\" \"{READER_DN}\"",
                file("clients.crt")
            );
        }
        tls = format!(
            "olcTLSCertificateFile: {}\nolcTLSCertificateKeyFile: {}\n{tls}",
            file("server.crt"),
            file("server.key")
        );
    }
    let first = |folders: &[&'static str], holding: &str| {
        folders
            .iter()
            .find(|folder| Path::new(folder).join(holding).exists())
            .copied()
            .with_context(|| format!("slapd is incomplete: no {holding} in {}", folders.join(", ")))
    };
    let schema = first(&["/etc/ldap/schema", "/etc/openldap/schema"], "inetorgperson.ldif")?;
    let modules = first(&["/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap"], "back_mdb.so")?;
    let loaded = std::iter::once("back_mdb").chain(options.overlays.iter().map(|overlay| overlay.name()));
    let loaded: Vec<String> = loaded.map(|module| format!("olcModuleLoad: {module}")).collect();
    let access: Vec<String> = ACCESS.iter().map(|rule| format!("olcAccess: {rule}")).collect();
    let overlays: String = options.overlays.iter().map(|overlay| overlay.record()).collect();
    Ok(include_str!("../../peers/slapd/config.ldif")
        .replace("%folder%", &folder.display().to_string())
        .replace("%schema%", schema)
        .replace("%modules%", modules)
        .replace("%tls%", &tls)
        .replace("%admin_password%", ADMIN_PASSWORD)
        .replace("%load%", &loaded.join("\n"))
        .replace("%limits%", &limits(&options.reader_limits))
        .replace("%access%", &access.join("\n"))
        + &overlays)
}

fn limits(of_the_reader: &str) -> String {
    format!("dn.exact=\"{READER_DN}\" {of_the_reader}")
}

/// The entries above and beside the company's.
fn write_top(output: &mut impl Write, reader_password: &SecretString) -> Result<()> {
    writeln!(
        output,
        "dn: {BASE_DN}\nobjectClass: organization\nobjectClass: dcObject\ndc: example\no: Example\n\n\
         dn: {READER_DN}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n\
         userPassword: {}\n",
        reader_password.expose_secret()
    )?;
    Ok(())
}

fn load(folder: &Path, database: &str, file: &str) -> Result<()> {
    run(
        slapd_program("slapadd")?
            .args(["-q", "-w", "-n", database, "-F"])
            .arg(folder.join("config"))
            .arg("-l")
            .arg(folder.join(file)),
        &mut |_| {},
    )
    .with_context(|| format!("cannot load {file}"))
}

fn slapd_program(name: &str) -> Result<Command> {
    program(name).map(Command::new).with_context(|| format!("{name} is missing: run `cargo xtask test --only tools`"))
}
