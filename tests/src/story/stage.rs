//! What the story needs while it is told: the parts, and ways to use them before the eyes of the listener.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use directory_sync_api::DirectorySync;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::cluster::Existing;
use super::{Cluster, Narrator, SYNC};
use crate::peers::company::Company;
use crate::peers::operator::Operator;
use crate::peers::processes::Processes;
use crate::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use crate::peers::slapd::{ADMIN_DN, Slapd, SlapdOptions};
use crate::peers::tls::CertificateAuthority;

/// How long one run of the operator, or one step of it, may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What is chosen before the story begins.
#[derive(Debug)]
pub struct Setting {
    /// The operator's program.
    pub program: PathBuf,
    /// A cluster that is there already; without one the story has a cluster of its own.
    pub existing: Option<Existing>,
    /// The passwords and tokens.
    pub secrets: Secrets,
    /// Further values of the chart, as `--set` takes them.
    pub chart_values: Vec<String>,
}

/// What nobody may ever see in anything that the operator says.
#[derive(Debug)]
pub struct Secrets {
    /// The password of the account that reads the directory.
    pub ldap_password: SecretString,
    /// The token of the SCIM service.
    pub scim_token: SecretString,
}

impl Secrets {
    /// New ones that nobody can guess.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
        let text = |bytes: &[u8]| {
            SecretString::from(format!("{:032x}", bytes.iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte))))
        };
        let (password, token) = bytes.split_at(16);
        Ok(Self { ldap_password: text(password), scim_token: text(token) })
    }
}

/// The parts of the story, running. Dropping it stops them all; what was installed in a cluster that is not the
/// story's own is removed by [`Stage::clear`] alone.
pub struct Stage<'n> {
    /// Who tells the story.
    pub narrator: &'n mut dyn Narrator,
    /// Who works in the company at the beginning.
    pub company: Company,
    /// The operator, once it is installed. It is stopped before what it is connected to.
    pub operator: Option<Operator>,
    /// Where the resource is.
    pub cluster: Cluster,
    /// The company's directory.
    pub slapd: Slapd,
    /// The service.
    pub scim: Scim2Server,
    /// What was chosen.
    pub setting: Setting,
    authority: CertificateAuthority,
    // Without processes of its own: for its folder, which goes whatever becomes of this process.
    pub(super) files: Processes,
}

impl<'n> Stage<'n> {
    /// Starts everything but the operator.
    pub async fn set(narrator: &'n mut dyn Narrator, setting: Setting) -> Result<Self> {
        let files = Processes::new("demo")?;
        let folder = files.folder().to_owned();
        let authority = CertificateAuthority::new("Example Company")?;
        let slapd = SlapdOptions {
            reader_password: setting.secrets.ldap_password.clone(),
            certificate: Some(authority.server_certificate(&["127.0.0.1", "localhost"])?),
            ..SlapdOptions::default()
        };
        let scim = Scim2ServerOptions { token: setting.secrets.scim_token.clone(), ..Scim2ServerOptions::default() };
        let company = Company::small();
        narrator.begin(match setting.existing {
            None => "Starting Kubernetes (etcd and kube-apiserver), OpenLDAP and a SCIM service",
            Some(_) => "Starting OpenLDAP and a SCIM service beside your cluster",
        });
        let (cluster, slapd, scim) = tokio::try_join!(
            async {
                match &setting.existing {
                    None => Cluster::own().await,
                    Some(existing) => Cluster::existing(existing, &folder).await,
                }
            },
            Slapd::start(&slapd, &company),
            Scim2Server::start(scim),
        )?;
        narrator.end();
        Ok(Self { narrator, company, cluster, slapd, scim, operator: None, setting, authority, files })
    }

    /// The folder of the story's own files.
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// The certificate of the authority that vouches for the directory's server, as PEM.
    pub(super) fn certificate_authority(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// Runs `kubectl` before the listener's eyes, and returns what it printed.
    pub(super) async fn kubectl(&mut self, arguments: &[&str]) -> Result<String> {
        let printed = self.kubectl_unseen(arguments).await?;
        self.show_kubectl(arguments, None);
        self.narrator.output(printed.trim_end());
        Ok(printed)
    }

    /// The same with something to read on standard input, also before the listener's eyes.
    pub(super) async fn kubectl_with_input(&mut self, arguments: &[&str], input: &str) -> Result<()> {
        self.show_kubectl(arguments, Some(input));
        let output = self.cluster.kubectl_output(arguments, Some(input)).await?;
        self.narrator.output(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim_end());
        ensure!(output.status.success(), "`kubectl {}` failed", arguments.join(" "));
        Ok(())
    }

    /// Runs `kubectl` where it has to be refused, and returns the refusal.
    pub(super) async fn kubectl_refused(&mut self, arguments: &[&str], input: &str) -> Result<String> {
        self.show_kubectl(arguments, Some(input));
        let output = self.cluster.kubectl_output(arguments, Some(input)).await?;
        let refusal = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        self.narrator.output(&refusal);
        ensure!(!output.status.success(), "`kubectl {}` should have been refused", arguments.join(" "));
        Ok(refusal)
    }

    pub(super) async fn kubectl_unseen(&self, arguments: &[&str]) -> Result<String> {
        self.cluster.kubectl(arguments).await
    }

    /// Shows a part of the resource's status as `kubectl get -o yaml` prints it, but for counts that are zero.
    pub(super) async fn show_status(&mut self, path: &[&str]) -> Result<()> {
        let arguments = ["get", "dsync", SYNC, "-o", "yaml"];
        let yaml = self.kubectl_unseen(&arguments).await?;
        let wanted = [&["status"], path].concat();
        let excerpt = excerpt(&yaml, &wanted).with_context(|| format!("no {} in\n{yaml}", wanted.join(".")))?;
        self.show_kubectl(&[&arguments[..], &["#", &wanted.join(".")]].concat(), None);
        self.narrator.output(&without_zeros(&excerpt));
        Ok(())
    }

    /// Shows changes of the plan, the most dangerous first: which of them, as in `0:6` or `*`, and what is said of each.
    pub(super) async fn show_changes(&mut self, which: &str, of_each: &str) -> Result<String> {
        self.show_list(&format!("status.plan.changes[{which}]"), of_each).await
    }

    /// Shows a list in the resource, and what is said of each entry.
    pub(super) async fn show_list(&mut self, list: &str, of_each: &str) -> Result<String> {
        let template = format!("-o=jsonpath={{range .{list}}}{of_each}{{\"\\n\"}}{{end}}");
        self.kubectl(&["get", "dsync", SYNC, &template]).await
    }

    /// Shows what the `Ready` condition says in words.
    pub(super) async fn show_ready(&mut self) -> Result<String> {
        let message = "-o=jsonpath={.status.conditions[?(@.type==\"Ready\")].message}";
        self.kubectl(&["get", "dsync", SYNC, message]).await
    }

    /// A request to the SCIM service, before the listener's eyes: of each resource found, these fields.
    pub(super) async fn show_scim(&mut self, path: &str, fields: &[&str]) -> Result<Vec<Value>> {
        let answer = self.scim.request(Method::GET, path, None).await?;
        self.narrator.request(&format!("GET /{path}"));
        let found = answer["Resources"].as_array().cloned().unwrap_or_default();
        for resource in &found {
            let shown = fields.iter().filter(|field| !resource[**field].is_null());
            let shown: Vec<_> = shown.map(|field| format!("{field}: {}", resource[*field])).collect();
            self.narrator.output(&format!("{{ {} }}", shown.join(", ")));
        }
        Ok(found)
    }

    /// How many people the service has, before the listener's eyes.
    pub(super) async fn show_scim_count(&mut self) -> Result<u64> {
        let count = self.scim_count().await?;
        self.narrator.request("GET /Users?count=1");
        self.narrator.output(&format!("{{ totalResults: {count} }}"));
        Ok(count)
    }

    /// The person with this address in the service, if there is one.
    pub(super) async fn scim_user(&self, address: &str) -> Result<Option<Value>> {
        let path = format!("Users?filter=userName eq \"{address}\"");
        Ok(self.scim.request(Method::GET, &path, None).await?["Resources"].get(0).cloned())
    }

    async fn scim_count(&self) -> Result<u64> {
        let answer = self.scim.request(Method::GET, "Users?count=1", None).await?;
        answer["totalResults"].as_u64().context("the service does not say how many people it has")
    }

    /// Changes the directory before the listener's eyes.
    pub(super) async fn change_directory(&mut self, ldif: &str) -> Result<()> {
        let password = self.slapd.admin_password_file()?.display().to_string();
        let words = ["ldapmodify", "-a", "-x", "-H", &self.slapd.url(), "-D", ADMIN_DN, "-y", &password];
        self.narrator.command(&words.map(quoted), Some(ldif.trim_end()));
        self.slapd.change(ldif).await?;
        Ok(())
    }

    /// The resource as it is now.
    pub async fn sync(&self) -> Result<DirectorySync> {
        Ok(serde_json::from_str(&self.kubectl_unseen(&["get", "dsync", SYNC, "-o", "json"]).await?)?)
    }

    /// Asks for a run before the listener's eyes, and waits for its end.
    pub async fn run_now(&mut self) -> Result<DirectorySync> {
        let now = jiff::Timestamp::now().to_string();
        let annotation = format!("directorysync.dev/requestedAt={now}");
        self.kubectl(&["annotate", "dsync", SYNC, "--overwrite", &annotation]).await?;
        self.until("The operator runs", |sync| {
            let status = sync.status.as_ref();
            status.and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(&now)
        })
        .await
    }

    /// Changes the spec before the listener's eyes, and waits for the run that this causes.
    pub async fn patch(&mut self, kind: &str, patch: &str) -> Result<DirectorySync> {
        self.kubectl(&["patch", "dsync", SYNC, &format!("--type={kind}"), "-p", patch]).await?;
        self.until("The operator runs", |sync| {
            let status = sync.status.as_ref();
            status.map(|status| status.observed_generation) == sync.metadata.generation
                && ready(sync).is_some_and(|ready| ready.status != "Unknown")
        })
        .await
    }

    /// Waits until this is true of the resource.
    pub(super) async fn until(&mut self, what: &str, holds: impl Fn(&DirectorySync) -> bool) -> Result<DirectorySync> {
        self.narrator.begin(what);
        let start = Instant::now();
        loop {
            if let Some(operator) = &mut self.operator {
                operator.ensure_running()?;
            }
            let sync = self.sync().await?;
            if holds(&sync) {
                self.narrator.end();
                return Ok(sync);
            }
            let (state, people) = (ready(&sync).map(|ready| ready.reason.clone()), self.scim_count().await);
            let people = people
                .map_or_else(|_| "the service is busy".to_owned(), |people| format!("{people} people in the service"));
            self.narrator.progress(&format!("{}, {people}", state.as_deref().unwrap_or("not looked at yet")));
            if start.elapsed() > LIMIT {
                bail!("{what}: not within {LIMIT:?}; the resource says:\n{:#?}", sync.status);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    fn show_kubectl(&mut self, arguments: &[&str], input: Option<&str>) {
        let words: Vec<_> = ["kubectl"].iter().chain(arguments).map(|word| quoted(word)).collect();
        self.narrator.command(&words, input);
    }

    /// Removes what the story made in a cluster that is not its own; of its own nothing would be left anyway.
    pub async fn clear(&mut self) -> Result<()> {
        if self.setting.existing.is_none() {
            return Ok(());
        }
        self.narrator.begin("Removing everything from your cluster again");
        let removed = super::chapters::install::remove(self).await;
        self.narrator.end();
        removed
    }
}

/// The `Ready` condition of a resource.
pub(super) fn ready(sync: &DirectorySync) -> Option<&Condition> {
    sync.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == "Ready")
}

/// A word as a shell has to be given it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_=./:,@+%#".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The lines of a YAML text that belong to a key, found by its path, without their common indentation.
fn excerpt(yaml: &str, path: &[&str]) -> Option<String> {
    let mut lines: Vec<&str> = yaml.lines().collect();
    for key in path {
        let indentation = depth(lines.first()?);
        let is_key = |line: &&str| {
            line.strip_prefix(&" ".repeat(indentation)).is_some_and(|rest| rest.starts_with(&format!("{key}:")))
        };
        let start = lines.iter().position(is_key)?;
        // The entries of a list stand at the indentation of their key.
        let belongs = |line: &&&str| {
            depth(line) > indentation || (depth(line) == indentation && line.trim_start().starts_with("- "))
        };
        let length = lines[start + 1..].iter().take_while(belongs).count();
        lines = lines[start..=start + length].to_vec();
        if path.last() != Some(key) {
            lines.remove(0);
        }
    }
    let indentation = depth(lines.first()?);
    Some(lines.iter().map(|line| line.get(indentation..).unwrap_or_default()).collect::<Vec<_>>().join("\n"))
}

/// How many spaces a line begins with.
fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A YAML text without fields that are zero, and without those that hold nothing else.
fn without_zeros(yaml: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    // From the end, so that what a field holds is known before the field.
    for line in yaml.lines().rev().filter(|line| !line.ends_with(": 0")) {
        let is_empty = line.ends_with(':')
            && kept.last().is_none_or(|next| depth(next) <= depth(line) && !next.trim_start().starts_with("- "));
        if !is_empty {
            kept.push(line);
        }
    }
    kept.reverse();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_what_belongs_to_its_key() {
        let yaml = "spec:\n  plan: 1\nstatus:\n  plan:\n    held:\n    - limit: users.creates\n      planned: 2\n    stored: 3\n  source: 4";
        let held = excerpt(yaml, &["status", "plan", "held"]).unwrap();
        assert_eq!(held, "held:\n- limit: users.creates\n  planned: 2");
        assert_eq!(excerpt(yaml, &["status", "source"]).unwrap(), "source: 4");
        assert_eq!(excerpt(yaml, &["status", "target"]), None);
    }

    #[test]
    fn what_is_zero_is_left_out() {
        let yaml = "summary:\n  aliases:\n    add: 0\n  groups:\n    create: 20\n    delete: 0\n  users:\n    add: 0";
        assert_eq!(without_zeros(yaml), "summary:\n  groups:\n    create: 20");
        assert_eq!(without_zeros("held:\n- planned: 2"), "held:\n- planned: 2");
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_not_take_it_literally() {
        assert_eq!(quoted("--type=merge"), "--type=merge");
        assert_eq!(quoted("{\"a\": 'b'}"), r#"'{"a": '\''b'\''}'"#);
    }
}
