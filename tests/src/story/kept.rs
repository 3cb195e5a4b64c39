//! What is left running after the story, for whoever goes on by hand.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Stage;
use super::stage::quoted;
use crate::peers::control_plane::ControlPlane;
use crate::peers::operator::Operator;
use crate::peers::processes::Kept;
use crate::peers::slapd::{ADMIN_DN, BASE_DN};
use crate::peers::tools::kubernetes::{write_kubectl, write_program};
use crate::peers::tools::python::Scim2ServerEnvironment;

/// Asks the SCIM service for what is below its base.
const SCIM: &str = r#"import json, sys, urllib.request
base, token, path = sys.argv[1:]
request = urllib.request.Request(f"{base}/{path}", headers={"Authorization": "Bearer " + open(token).read()})
# The service is on this machine, whatever the proxy of the user is.
answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
print(json.dumps(json.load(answer), indent=2, ensure_ascii=False))
"#;

/// A stage whose parts go on when this process ends.
#[derive(Debug)]
pub struct KeptStage {
    /// Commands for a shell that has been given [`Self::environment`], each with what it shows.
    pub commands: Vec<(&'static str, String)>,
    /// What a shell has to be told first: where the cluster is, and where `kubectl` and `scim` are.
    pub environment: Vec<String>,
    /// The script that stops everything and removes its files.
    pub stop: PathBuf,
    /// What was left running.
    pub parts: Vec<Kept>,
}

impl Stage<'_> {
    /// Leaves everything running when this process ends.
    pub fn keep(self) -> Result<KeptStage> {
        let folder = self.folder().to_owned();
        let environment = write_programs(&folder, self.cluster.kubeconfig(), &self.scim.url())?;
        let admin = self.slapd.admin_password_file()?;
        let log = self.operator.as_ref().context("the operator does not run")?.log_path();
        let directory = format!(
            "ldapsearch -x -LLL -H {} -D {} -y {} -b {} '(ou=Engineering)' mail",
            self.slapd.url(),
            quoted(ADMIN_DN),
            quoted(&admin.display().to_string()),
            quoted(BASE_DN)
        );
        let commands = [
            ("what there is", "kubectl get dsync,dsplan,dsapproval"),
            ("what happened", "kubectl events"),
            ("all about the resource", "kubectl describe dsync staff"),
            ("what a field means; every field is described", "kubectl explain dsync.spec.limits"),
            ("a run, now", r#"kubectl annotate dsync staff --overwrite directorysync.dev/requestedAt="$(date +%s%N)""#),
            ("another limit, or whatever you like", "kubectl edit dsync staff"),
            (
                "a stored plan, whole",
                "kubectl get dsplan -o jsonpath='{.items[0].spec.data}' | base64 -d | gunzip | head -c 2000",
            ),
            ("the directory", &directory),
            ("the service", "scim 'Users?count=3'"),
            ("the operator's log", &format!("tail -f {}", quoted(&log.display().to_string()))),
        ]
        .map(|(what, command)| (what, command.to_owned()))
        .into();

        let stop = folder.join("stop");
        let parts = [self.operator.map(Operator::keep), Some(self.scim.keep()), Some(self.slapd.keep())];
        let control_plane = self.cluster.into_control_plane().map(ControlPlane::keep);
        let parts: Vec<_> = parts.into_iter().chain([control_plane, Some(self.files.keep())]).flatten().collect();
        let calls: String = parts.iter().map(stop_call).collect();
        std::fs::write(stop.with_file_name("watchdog.sh"), include_str!("../peers/watchdog.sh"))?;
        std::fs::write(&stop, include_str!("stop.sh").replace("%parts%", calls.trim_end()))?;
        Ok(KeptStage { commands, environment, stop, parts })
    }
}

/// Writes `kubectl` and `scim`, because nobody knows what this machine has of the kind, and says what a shell has to be
/// told to find them.
fn write_programs(folder: &Path, kubeconfig: &Path, scim: &str) -> Result<Vec<String>> {
    let programs = folder.join("programs");
    std::fs::create_dir(&programs)?;
    write_kubectl(&programs)?;
    let ask = folder.join("scim.py");
    std::fs::write(&ask, SCIM)?;
    let python = Scim2ServerEnvironment::python()?;
    let text = |path: &Path| quoted(&path.display().to_string());
    let token = text(&folder.join("scim-token"));
    write_program(
        &programs,
        "scim",
        &format!("exec {} {} {} {token} \"$1\"\n", text(&python), text(&ask), quoted(scim)),
    )?;
    Ok(vec![format!("export KUBECONFIG={}", text(kubeconfig)), format!("export PATH={}:\"$PATH\"", text(&programs))])
}

fn stop_call(kept: &Kept) -> String {
    let groups: Vec<_> = kept.groups.iter().map(u32::to_string).collect();
    format!("stop {} {}\n", quoted(&kept.folder.display().to_string()), groups.join(" "))
}
