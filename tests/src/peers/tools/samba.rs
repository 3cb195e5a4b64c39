//! The domain that the Samba domain controller serves: provisioned and filled once, then kept as an archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use base64::Engine as _;

use super::{Progress, cache_folder, program, run, short_digest};
use crate::peers::company::active_directory;

/// The password of the account `Reader` in `OU=Services`.
pub const READER_PASSWORD: &str = "Reader.of.a.test.domain.1";
/// The password of the account `Administrator`.
pub const ADMIN_PASSWORD: &str = "Administrator.of.a.test.domain.1";

const SCHEMA: &str = include_str!("../../../peers/samba/schema.ldif");
const SCHEMA_CLASSES: &str = include_str!("../../../peers/samba/schema-classes.ldif");
const ACCOUNTS: &str = include_str!("../../../peers/samba/accounts.ldif");
const ODDITIES: &str = include_str!("../../../peers/samba/oddities.ldif");
/// The person whose primary group is not the usual one, and that group.
const PRIMARY_GROUP: (&str, &str) = ("CN=Standard Class", "CN=Contractors");
/// As `samba-tool domain provision` takes them.
const DOMAIN: [&str; 9] = [
    "--realm=AD.EXAMPLE.TEST",
    "--domain=ADTEST",
    "--host-name=dc1",
    "--host-ip=127.0.0.1",
    "--server-role=dc",
    "--dns-backend=SAMBA_INTERNAL",
    "--use-rfc2307",
    "--option=interfaces=127.0.0.1/8",
    "--option=bind interfaces only=yes",
];

/// The archive (`tar.gz`) of the domain, with the folder `dc` in it.
#[derive(Clone, Copy, Debug)]
pub struct SambaDomain;

impl SambaDomain {
    /// The path of the archive.
    pub fn archive() -> Result<PathBuf> {
        let path = location()?;
        if !path.is_file() {
            bail!("the Samba domain has not been provisioned yet: run `cargo xtask test --only tools`");
        }
        Ok(path)
    }

    /// Provisions the domain unless the archive is there.
    pub fn provision(progress: Progress<'_>) -> Result<()> {
        let path = location()?;
        if path.is_file() {
            return Ok(());
        }
        if !rustix::process::geteuid().is_root() {
            bail!("only root can provision a Samba domain: run `cargo xtask test --only tools` as root");
        }
        progress("provisioning the Samba domain");
        let folder = tempfile::Builder::new().prefix("directory-sync-samba-domain-").tempdir()?;
        provision_in(folder.path(), progress)?;
        fs::create_dir_all(cache_folder()?)?;
        // Written beside its place and moved there whole: an interrupted run leaves nothing that looks finished.
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        let packed =
            run(Command::new("tar").arg("-C").arg(folder.path()).arg("-czf").arg(&unfinished).arg("dc"), progress);
        if let Err(error) = packed {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        Ok(fs::rename(&unfinished, &path)?)
    }
}

/// Where the archive lies or will lie: a name for what it is made from and by.
fn location() -> Result<PathBuf> {
    let samba = program("samba").context("Samba is missing: run `cargo xtask test --only tools`")?;
    let version = Command::new(samba).arg("--version").output()?.stdout;
    let domain = DOMAIN.join("\n");
    let regular = active_directory::ldif();
    let texts = [SCHEMA, SCHEMA_CLASSES, ACCOUNTS, ODDITIES, &regular, &domain, READER_PASSWORD, ADMIN_PASSWORD];
    let parts = texts.iter().map(|text| text.as_bytes()).chain([version.as_slice()]);
    Ok(cache_folder()?.join(format!("samba-domain-{}.tar.gz", short_digest(parts))))
}

fn provision_in(folder: &Path, progress: Progress<'_>) -> Result<()> {
    let samba_tool = program("samba-tool").context("samba-tool is missing")?;
    run(
        Command::new(samba_tool)
            .args(["domain", "provision"])
            .arg(format!("--targetdir={}", folder.join("dc").display()))
            .arg(format!("--adminpass={ADMIN_PASSWORD}"))
            .args(DOMAIN),
        progress,
    )?;
    let quoted: Vec<u8> = format!("\"{READER_PASSWORD}\"").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let accounts = ACCOUNTS.replace("%reader_password%", &base64::engine::general_purpose::STANDARD.encode(quoted));
    let regular = active_directory::ldif();
    for (name, records) in [
        ("schema.ldif", SCHEMA),
        ("schema-classes.ldif", SCHEMA_CLASSES),
        ("accounts.ldif", &accounts),
        ("oddities.ldif", ODDITIES),
        ("regular.ldif", &regular),
    ] {
        change(folder, name, records, progress)?;
    }
    let (person, group) = PRIMARY_GROUP;
    let primary_group = format!(
        "dn: {person},{oddities}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {}\n-\n",
        relative_identifier(folder, &format!("{group},{oddities}", oddities = active_directory::ODDITIES_DN))?,
        oddities = active_directory::ODDITIES_DN,
    );
    change(folder, "primary-group.ldif", &primary_group, progress)
}

/// Changes the database without a server, in one transaction.
fn change(folder: &Path, name: &str, records: &str, progress: Progress<'_>) -> Result<()> {
    let file = folder.join(name);
    fs::write(&file, records)?;
    run(database_program(folder, "ldbmodify")?.arg("--option=dsdb:schema update allowed=true").arg(&file), progress)
        .with_context(|| format!("cannot load {name}"))
}

/// The last part of an entry's security identifier, which is what `primaryGroupID` holds.
fn relative_identifier(folder: &Path, dn: &str) -> Result<String> {
    let output = database_program(folder, "ldbsearch")?.args(["-s", "base", "-b", dn, "objectSid"]).output()?;
    let found = String::from_utf8_lossy(&output.stdout);
    let identifier = found.lines().find_map(|line| line.strip_prefix("objectSid: S-")?.rsplit('-').next());
    Ok(identifier.with_context(|| format!("{dn} has no objectSid"))?.to_owned())
}

fn database_program(folder: &Path, name: &str) -> Result<Command> {
    let mut command = Command::new(program(name).with_context(|| format!("{name} is missing"))?);
    command.arg("-H").arg(folder.join("dc/private/sam.ldb"));
    command.arg(format!("--configfile={}", folder.join("dc/etc/smb.conf").display()));
    Ok(command)
}
