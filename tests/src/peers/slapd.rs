//! A real OpenLDAP server on the loopback interface.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncWriteExt;

use super::company::Company;
use super::processes::{Kept, Processes, free_port};
use super::tls::ServerCertificate;
use super::tools::{program, run};

/// The suffix of the only database.
pub const BASE_DN: &str = "dc=example,dc=com";
/// The account that may read everything but passwords.
pub const READER_DN: &str = "cn=reader,dc=example,dc=com";
/// The account that may do everything, without limits.
pub const ADMIN_DN: &str = "cn=admin,dc=example,dc=com";

const READY_LIMIT: Duration = Duration::from_secs(60);
const ADMIN_PASSWORD: &str = "administrator-of-a-test-directory";
const NAME: &str = "slapd";

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
}

impl Default for SlapdOptions {
    fn default() -> Self {
        Self {
            reader_password: "reader-of-a-test-directory".into(),
            reader_limits: "size=unlimited time=unlimited".to_owned(),
            certificate: None,
        }
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Slapd {
    processes: Processes,
    port: u16,
    tls_port: Option<u16>,
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
        data.flush()?;
        load(&folder, "1", "data.ldif")?;
        fs::remove_file(folder.join("data.ldif"))?;

        let tls_port = if options.certificate.is_some() { Some(free_port()?) } else { None };
        let mut slapd =
            Self { processes, port: free_port()?, tls_port, reader_password: options.reader_password.clone() };
        slapd.start_serving().await?;
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
        self.password_file("admin", ADMIN_PASSWORD)
    }

    /// Applies changes in the notation of LDIF, additions included (`changetype: add`, as entries without one are).
    pub async fn change(&self, ldif: &str) -> Result<()> {
        let mut command = self.client_program("ldapmodify", &self.url(), ADMIN_DN, ADMIN_PASSWORD)?;
        // Without -a a record without a change type would be refused.
        command.arg("-a").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("no pipe to ldapmodify")?;
        stdin.write_all(ldif.as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!("ldapmodify failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Removes an entry.
    pub async fn delete(&self, dn: &str) -> Result<()> {
        self.change(&format!("dn: {dn}\nchangetype: delete\n")).await
    }

    /// Sets an attribute of an entry to these values; to none removes it.
    pub async fn replace(&self, dn: &str, attribute: &str, values: &[&str]) -> Result<()> {
        let values: String = values.iter().map(|value| super::company::ldif_line(attribute, value)).collect();
        self.change(&format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{values}-\n")).await
    }

    /// What `ldapsearch` prints to the reader as plain LDIF; the arguments come after those for the connection.
    pub async fn search(&self, arguments: &[&str]) -> Result<String> {
        let output = tokio::process::Command::from(self.search_command(&self.url())?).args(arguments).output().await?;
        if !output.status.success() {
            bail!("ldapsearch failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// `ldapsearch` for the reader at one of the server's addresses, with everything but what to search for; lines are
    /// not wrapped.
    pub fn search_command(&self, url: &str) -> Result<Command> {
        let mut command = self.client_program("ldapsearch", url, READER_DN, self.reader_password.expose_secret())?;
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", BASE_DN]);
        Ok(command.into_std())
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

    fn client_program(&self, name: &str, url: &str, dn: &str, password: &str) -> Result<tokio::process::Command> {
        let path = program(name).with_context(|| format!("{name} is missing: run `cargo xtask test --only tools`"))?;
        // From a file, because the arguments of a process can be read by everybody.
        let password_file = self.password_file(if dn == ADMIN_DN { "admin" } else { "reader" }, password)?;
        let mut command = tokio::process::Command::new(path);
        command.args(["-x", "-H", url, "-D", dn, "-y"]).arg(password_file);
        Ok(command)
    }

    fn password_file(&self, whose: &str, password: &str) -> Result<PathBuf> {
        let path = self.processes.folder().join(format!("password-{whose}"));
        fs::write(&path, password)?;
        Ok(path)
    }
}

fn configuration(folder: &Path, options: &SlapdOptions) -> Result<String> {
    let tls = match &options.certificate {
        None => "olcTLSVerifyClient: never".to_owned(),
        Some(certificate) => {
            let file = |name: &str| folder.join(name).display().to_string();
            fs::write(file("server.crt"), &certificate.certificate_pem)?;
            fs::write(file("server.key"), &certificate.key_pem)?;
            format!(
                "olcTLSCertificateFile: {}\nolcTLSCertificateKeyFile: {}\nolcTLSVerifyClient: never",
                file("server.crt"),
                file("server.key")
            )
        }
    };
    let first = |folders: &[&'static str], holding: &str| {
        folders
            .iter()
            .find(|folder| Path::new(folder).join(holding).exists())
            .copied()
            .with_context(|| format!("slapd is incomplete: no {holding} in {}", folders.join(", ")))
    };
    let schema = first(&["/etc/ldap/schema", "/etc/openldap/schema"], "inetorgperson.ldif")?;
    let modules = first(&["/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap"], "back_mdb.so")?;
    Ok(include_str!("../../peers/slapd/config.ldif")
        .replace("%folder%", &folder.display().to_string())
        .replace("%schema%", schema)
        .replace("%modules%", modules)
        .replace("%tls%", &tls)
        .replace("%admin_password%", ADMIN_PASSWORD)
        .replace("%reader_limits%", &options.reader_limits))
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
