//! The command-line clients of OpenLDAP as one account of a directory server uses them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncWriteExt;

use super::company::ldif_line;
use super::tools::program;

/// An account that binds with its name and password.
#[derive(Clone, Debug)]
pub struct LdapAccount {
    dn: String,
    password_file: PathBuf,
    trusted: Option<PathBuf>,
}

impl LdapAccount {
    /// The account with this name. Its password goes into a file of the folder that only we may read, because the
    /// arguments of a process can be read by everybody.
    pub fn new(folder: &Path, dn: &str, password: &SecretString) -> Result<Self> {
        let name: String = dn.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        let password_file = folder.join(format!("password-{name}"));
        let mut file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&password_file)?;
        file.write_all(password.expose_secret().as_bytes())?;
        Ok(Self { dn: dn.to_owned(), password_file, trusted: None })
    }

    /// The same, trusting the authorities in this PEM file and no others.
    #[must_use]
    pub fn trusting(mut self, authorities: &Path) -> Self {
        self.trusted = Some(authorities.to_owned());
        self
    }

    /// The file with the password.
    pub fn password_file(&self) -> &Path {
        &self.password_file
    }

    /// A client program with the arguments for the connection.
    pub fn program(&self, name: &str, url: &str) -> Result<Command> {
        let path = program(name).with_context(|| format!("{name} is missing: run `cargo xtask test --only tools`"))?;
        let mut command = Command::new(path);
        command.args(["-x", "-H", url, "-D", &self.dn, "-y"]).arg(&self.password_file);
        if let Some(trusted) = &self.trusted {
            command.env("LDAPTLS_CACERT", trusted);
        }
        Ok(command)
    }

    /// `ldapsearch` with everything but what to search for; lines are not wrapped.
    pub fn search_command(&self, url: &str, base: &str) -> Result<Command> {
        let mut command = self.program("ldapsearch", url)?;
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", base]);
        Ok(command)
    }

    /// What `ldapsearch` prints as plain LDIF; the arguments come after those for the connection.
    pub async fn search(&self, url: &str, base: &str, arguments: &[&str]) -> Result<String> {
        let mut command = tokio::process::Command::from(self.search_command(url, base)?);
        let output = command.args(arguments).output().await?;
        if !output.status.success() {
            bail!("ldapsearch failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Applies changes in the notation of LDIF, additions included (`changetype: add`, as entries without one are).
    pub async fn change(&self, url: &str, ldif: &str) -> Result<()> {
        let mut command = tokio::process::Command::from(self.program("ldapmodify", url)?);
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
}

/// The change that removes an entry.
pub(super) fn deletion(dn: &str) -> String {
    format!("{}changetype: delete\n", ldif_line("dn", dn))
}

/// The change that sets an attribute of an entry to these values; to none removes it.
pub(super) fn replacement(dn: &str, attribute: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| ldif_line(attribute, value)).collect();
    format!("{}changetype: modify\nreplace: {attribute}\n{values}-\n", ldif_line("dn", dn))
}
