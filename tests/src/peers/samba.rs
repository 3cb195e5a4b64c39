//! A real Active Directory domain controller, that of Samba, on an address of its own of the loopback interface.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use secrecy::SecretString;

use super::company::active_directory::BASE_DN;
use super::ldap_account::{LdapAccount, deletion, replacement};
use super::processes::Processes;
use super::tls::CertificateAuthority;
use super::tools::samba::{ADMIN_PASSWORD, READER_PASSWORD, SambaDomain};
use super::tools::{program, run};

/// An account that may read what everybody may who can sign in.
pub const READER_DN: &str = "CN=Reader,OU=Services,DC=ad,DC=example,DC=test";
/// The same account as people write it at a sign-in.
pub const READER_PRINCIPAL: &str = "reader@ad.example.test";
/// The account that may do everything.
pub const ADMIN_DN: &str = "CN=Administrator,CN=Users,DC=ad,DC=example,DC=test";
/// The domain, as DNS would know it.
pub const DOMAIN: &str = "ad.example.test";
/// The domain controller, as DNS would know it; its certificate bears this name and the address.
pub const HOST: &str = "dc1.ad.example.test";

const READY_LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "samba";
/// Where Samba listens for LDAP, LDAPS and both of the global catalogue; no option changes that.
const PORTS: [u16; 4] = [389, 636, 3268, 3269];

/// How a [`SambaDomainController`] is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct SambaOptions {
    /// Refuses a password that comes without TLS (`strongerAuthRequired`), as domain controllers do that are set up
    /// with care.
    pub require_encryption: bool,
}

/// A running domain controller with the domain of
/// [`active_directory`](super::company::active_directory). Dropping it stops it.
pub struct SambaDomainController {
    processes: Processes,
    address: Ipv4Addr,
    authority: CertificateAuthority,
    reader: LdapAccount,
    admin: LdapAccount,
    reader_password: SecretString,
}

impl SambaDomainController {
    /// Starts a domain controller.
    pub async fn start() -> Result<Self> {
        Self::start_with(SambaOptions::default()).await
    }

    /// Starts a domain controller that is set up like this.
    pub async fn start_with(options: SambaOptions) -> Result<Self> {
        let archive = SambaDomain::archive()?;
        let processes = Processes::new(NAME)?;
        let folder = processes.folder().to_owned();
        run(Command::new("tar").arg("-C").arg(&folder).arg("-xzf").arg(archive), &mut |_| {})?;
        let address = free_address()?;
        let authority = CertificateAuthority::new("domain")?;
        write_certificate(&folder, &authority, address)?;
        fs::create_dir(folder.join("run"))?;
        let configuration = include_str!("../../peers/samba/smb.conf")
            .replace("%folder%", &folder.display().to_string())
            .replace("%address%", &address.to_string())
            .replace("%require_encryption%", if options.require_encryption { "yes" } else { "no" });
        fs::write(folder.join("smb.conf"), configuration)?;

        let trusted = folder.join("tls/ca.crt");
        let account = |dn: &str, password: &SecretString| {
            Ok::<_, anyhow::Error>(LdapAccount::new(&folder, dn, password)?.trusting(&trusted))
        };
        let reader_password = SecretString::from(READER_PASSWORD);
        let reader = account(READER_DN, &reader_password)?;
        let admin = account(ADMIN_DN, &ADMIN_PASSWORD.into())?;
        let mut controller = Self { processes, address, authority, reader, admin, reader_password };
        controller.start_serving().await?;
        Ok(controller)
    }

    /// The address without TLS, or for StartTLS.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// The address of LDAPS.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// The address where it listens, at the usual ports.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Who has issued the certificate of the server, for clients that are to trust it.
    pub fn authority(&self) -> &CertificateAuthority {
        &self.authority
    }

    /// The password of [`READER_DN`].
    pub fn reader_password(&self) -> &SecretString {
        &self.reader_password
    }

    /// The account of the reader, for searches of which more is wanted than the entries.
    pub fn reader(&self) -> &LdapAccount {
        &self.reader
    }

    /// Applies changes in the notation of LDIF, additions included (`changetype: add`, as entries without one are).
    pub async fn change(&self, ldif: &str) -> Result<()> {
        self.admin.change(&self.ldaps_url(), ldif).await
    }

    /// Removes an entry.
    pub async fn delete(&self, dn: &str) -> Result<()> {
        self.change(&deletion(dn)).await
    }

    /// Sets an attribute of an entry to these values; to none removes it.
    pub async fn replace(&self, dn: &str, attribute: &str, values: &[&str]) -> Result<()> {
        self.change(&replacement(dn, attribute, values)).await
    }

    /// What `ldapsearch` prints to the reader as plain LDIF; the arguments come after those for the connection. One of
    /// them has to be a filter if an attribute with `=` in its name is wanted.
    pub async fn search(&self, arguments: &[&str]) -> Result<String> {
        self.reader.search(&self.ldaps_url(), BASE_DN, arguments).await
    }

    /// `ldapsearch` for the reader at one of the server's addresses, with everything but what to search for; lines are
    /// not wrapped.
    pub fn search_command(&self, url: &str) -> Result<Command> {
        self.reader.search_command(url, BASE_DN)
    }

    /// Stops the server; its data stay for [`Self::start_serving`].
    pub fn stop_serving(&mut self) {
        self.processes.stop(NAME);
    }

    /// Starts the server again, at the same address.
    pub async fn start_serving(&mut self) -> Result<()> {
        let samba = program("samba").context("samba is missing: run `cargo xtask test --only tools`")?;
        let configuration = self.processes.folder().join("smb.conf");
        self.processes.spawn(
            NAME,
            Command::new(samba).args(["-F", "--no-process-group", "-M", "single", "-s"]).arg(configuration),
        )?;
        let address = self.address;
        self.processes
            .wait_until("a domain controller that accepts connections", READY_LIMIT, || async {
                for port in PORTS {
                    tokio::net::TcpStream::connect((address, port)).await?;
                }
                Ok(())
            })
            .await
    }

    /// Stops the server and removes its data; the same as dropping it.
    pub fn stop(self) {}
}

/// An address of the loopback network where nobody listens at the ports of a domain controller.
fn free_address() -> Result<Ipv4Addr> {
    const ATTEMPTS: usize = 32;
    let mut refusal = None;
    for _ in 0..ATTEMPTS {
        let [_, a, b, c, ..] = RandomState::new().build_hasher().finish().to_be_bytes();
        // Neither the first nor the last address of a network of any size.
        let address = Ipv4Addr::new(127, a.clamp(1, 254), b, c.clamp(1, 254));
        match PORTS.iter().try_for_each(|&port| TcpListener::bind((address, port)).map(drop)) {
            Ok(()) => return Ok(address),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) => {
            Err(error).context("cannot listen at the ports of a domain controller, for which root is needed")
        }
        None => bail!("no address has been tried"),
    }
}

fn write_certificate(folder: &Path, authority: &CertificateAuthority, address: Ipv4Addr) -> Result<()> {
    let certificate = authority.server_certificate(&[HOST, &address.to_string()])?;
    let folder = folder.join("tls");
    fs::create_dir(&folder)?;
    fs::write(folder.join("ca.crt"), authority.certificate_pem())?;
    fs::write(folder.join("server.crt"), &certificate.certificate_pem)?;
    let key = folder.join("server.key");
    fs::write(&key, &certificate.key_pem)?;
    // Samba does not start with a key that others may read.
    Ok(fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?)
}
