//! Every reason there is, with its meaning and what to do: the words of conditions, events and metrics, and the page
//! of the reference that explains them.

use std::fmt::Write as _;

/// One word that conditions, events, metrics and failures of single changes give as their reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The word: PascalCase, and never changed once released.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// What a person can do; empty where nothing needs to be done.
    pub remedy: &'static str,
}

/// Reasons that are found in the same places.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Where these reasons are found.
    pub introduction: &'static str,
    /// The reasons.
    pub reasons: &'static [Reason],
}

const fn reason(name: &'static str, meaning: &'static str, remedy: &'static str) -> Reason {
    Reason { name, meaning, remedy }
}

/// All reasons by section.
pub const SECTIONS: &[Section] = &[
    Section {
        title: "Runs",
        introduction: "Reasons of `Ready`, `Reconciling`, `SourceHealthy`, `TargetHealthy` and `PlanHeld` where nothing \
                       is wrong, and of runs that ended early.",
        reasons: &[
            reason("Succeeded", "The last run did all that it was allowed to do, and nothing waits.", ""),
            reason("Progressing", "The first run for this spec is under way.", ""),
            reason(
                "ProgressingWithRetry",
                "A run failed and is repeated with growing pauses.",
                "`Ready` says what failed.",
            ),
            reason("Suspended", "`spec.suspend` is true: nothing runs.", "Set `spec.suspend: false` to go on."),
            reason("Applied", "Changes were made; an event says how many.", ""),
            reason("ReadSucceeded", "This side was read whole.", ""),
            reason("NothingHeld", "Nothing of the plan waits.", ""),
            reason(
                "SpecChanged",
                "The resource was changed while a run was under way; nothing more was sent.",
                "Nothing: the next run follows at once.",
            ),
            reason(
                "Stopped",
                "The run was stopped before its end, because the operator ends, or the resource was suspended or \
                 deleted.",
                "Nothing: what was not sent is planned anew by the next run.",
            ),
            reason(
                "ApplyPartiallyFailed",
                "The target did not do some of the changes.",
                "Look at `status.lastApplied.failures`; the next run tries again what is still wanted.",
            ),
            reason(
                "InternalError",
                "A mistake in the operator itself ended the run.",
                "Report it with the lines of the log before it; the run is repeated with growing pauses.",
            ),
            reason("Failed", "A failure without a name of its own.", "The message of the condition says more."),
        ],
    },
    Section {
        title: "Holds",
        introduction: "Reasons of `PlanHeld` and of `status.plan.held`; `Ready` is true and gives the first of them.",
        reasons: &[
            reason(
                "LimitExceeded",
                "More changes of one kind are planned than `spec.limits` allows in one run.",
                "Look at `status.plan`. If it is right, approve the plan; if not, mend the source, the filter or the \
                 mapping.",
            ),
            reason(
                "SourceShrunk",
                "The source holds fewer people or groups than `spec.limits.sourceShrink` allows for, compared with the \
                 last read whose plan was not held.",
                "Check the filter and the rights of the account that reads. If the source really shrank, approve the \
                 plan.",
            ),
            reason(
                "ValuesVanished",
                "More people or groups than `spec.limits.sourceShrink` allows for would lose their value of one field, \
                 or all who have one.",
                "Check the mapping and the rights of the account that reads. If the values are really gone, approve the \
                 plan.",
            ),
            reason(
                "ApprovalRequired",
                "`spec.approval` is Manual, or the approved plan did not show some of what is planned now.",
                "Look at `status.plan` and approve it with a DirectorySyncApproval.",
            ),
            reason(
                "NotApplied",
                "`spec.apply` is false: plans are shown and nothing is sent.",
                "Look at `status.plan`; set `spec.apply: true` to have it sent.",
            ),
            reason(
                "Unconfirmed",
                "Before somebody is removed the source is asked for that person once more, and it could not answer.",
                "Nothing if it passes; otherwise look at the source. No approval lifts this.",
            ),
            reason(
                "Protected",
                "A removal would meet somebody whom `spec.protect` names.",
                "Remove the person by hand, or change `spec.protect`. No approval lifts this.",
            ),
        ],
    },
    Section {
        title: "Approvals",
        introduction: "Reasons of events when an approval was looked at; its own `status` says the same.",
        reasons: &[
            reason("ApprovalUsed", "What the approved plan showed and is still wanted was sent.", ""),
            reason(
                "ApprovalAlreadyUsed",
                "An approval is used once, and this one was.",
                "Approve the current plan anew if something still waits.",
            ),
            reason(
                "ApprovalExpired",
                "It was not used within `spec.approvalExpiresAfter`.",
                "Look at the current plan and approve that.",
            ),
            reason(
                "ApprovalStale",
                "No change of today belongs to the plan it names, or that plan was too large to be stored whole and \
                 today's differs from it.",
                "Look at the current plan and approve that.",
            ),
        ],
    },
    Section {
        title: "The resource",
        introduction: "The spec, or what it refers to, cannot be used. The resource is stalled until that is changed; \
                       Secrets and ConfigMaps are looked at again every ten minutes.",
        reasons: &[
            reason(
                "InvalidSpec",
                "Fields contradict each other, or a value is out of bounds.",
                "The message names the field and what to write instead.",
            ),
            reason(
                "InvalidResource",
                "The stored resource does not fit the kind that this version of the operator knows. It is left alone.",
                "Apply it again as `kubectl explain directorysync` describes it, or run the version that knows it.",
            ),
            reason(
                "InvalidMapping",
                "An entry of `spec.mapping` cannot be used.",
                "The message names the field, and for CEL the place in the expression.",
            ),
            reason(
                "MappingFindsNobody",
                "The directory holds people or groups, and the mapping finds none of them. Nothing is planned from \
                 that, because it would remove everybody.",
                "Name an attribute that the entries have, and let the account read it.",
            ),
            reason(
                "InvalidExclusion",
                "An entry of `spec.exclude` or `spec.protect` cannot be used. Nothing runs without it, because that \
                 would remove whom it guards.",
                "The message names the entry.",
            ),
            reason(
                "InvalidSchedule",
                "`spec.schedule` names no due time.",
                "Write five cron fields such as `0 * * * *`, and durations such as `2m`.",
            ),
            reason(
                "InvalidTimeZone",
                "The time zone of `spec.schedule` is not known.",
                "Write an IANA name such as `Europe/Berlin`.",
            ),
            reason(
                "ReferenceNotFound",
                "A Secret or ConfigMap that the spec names is not in the namespace of the resource.",
                "Create it; it is found within ten minutes, or at once if a run is asked for.",
            ),
            reason(
                "ReferenceKeyUnusable",
                "A Secret or ConfigMap lacks the key, or its value is empty, no text or too short.",
                "Write the key; the message names it.",
            ),
            reason(
                "ReferenceUnavailable",
                "It is not known whether a Secret or ConfigMap is there.",
                "Nothing if it passes; otherwise check the rights of the operator in this namespace.",
            ),
        ],
    },
    Section {
        title: "The source",
        introduction: "The source was not read whole, so there is no new plan; the one before still stands. Also \
                       reasons of `SourceHealthy`.",
        reasons: &[
            reason("SourceInvalid", "A setting of the source cannot work.", "The message names the field."),
            reason(
                "SourceFilterInvalid",
                "A search filter is none.",
                "Write it as in RFC 4515, for instance `(objectClass=inetOrgPerson)`.",
            ),
            reason(
                "SourcePlaintextRefused",
                "The password of the account, or those of people, would have gone over an unencrypted connection, so \
                 that nothing was sent or read.",
                "Use `ldaps://` or StartTLS.",
            ),
            reason("SourceHostUnknown", "The server's name has no address.", "Check `urls` and the cluster's DNS."),
            reason(
                "SourceUnavailable",
                "The server cannot be reached, or says that it is not available.",
                "Check the server, the port and the network policies.",
            ),
            reason("SourceTimedOut", "The server did not answer in time.", "Look at its load, or raise `timeout`."),
            reason(
                "SourceTlsFailed",
                "No encrypted connection came about.",
                "Check that the port speaks TLS 1.2 or later, or that StartTLS is enabled.",
            ),
            reason(
                "SourceCertificateExpired",
                "The server's certificate is outside its period of validity.",
                "Renew it on the server.",
            ),
            reason(
                "SourceCertificateUntrusted",
                "The server's certificate is not trusted, or is for another name.",
                "Put the authority that signed it into `tls.caBundle`, and use a host name that it covers.",
            ),
            reason(
                "SourceAuthFailed",
                "The server refuses the account or the password.",
                "Correct the Secret; it is read again within ten minutes. If the account was mended in the directory, \
                 ask for a run: every try with a wrong password may lock the account, so that none is made by itself.",
            ),
            reason(
                "SourceEncryptionRequired",
                "The server demands an encrypted connection.",
                "Use `ldaps://` or StartTLS.",
            ),
            reason(
                "SourceReadIncomplete",
                "The connection broke before the answer was complete.",
                "Nothing if it passes; otherwise look at the server's log.",
            ),
            reason(
                "SourceMalformedAnswer",
                "What answers there does not speak as such a directory does, so that nothing of it can be trusted.",
                "Check the URL.",
            ),
            reason(
                "SourceLimitExceeded",
                "The server stopped at one of its limits, or sent more than the operator takes.",
                "Raise the limit for the account, narrow the search, or lower `pageSize`.",
            ),
            reason(
                "SourceBaseNotFound",
                "A base DN does not exist, or is hidden from the account.",
                "Correct `baseDN`, or grant the right to read it.",
            ),
            reason(
                "SourceReferral",
                "The server refers to another one that is not followed, or referrals lead in circles.",
                "Search below entries that this server holds itself, or name the host in `followReferrals.hosts`.",
            ),
            reason(
                "SourceDomainLeadsAway",
                "The SRV records of `domain` name a server outside that domain; nothing was sent to it.",
                "Mend the records, or name the servers in `urls`.",
            ),
            reason(
                "SourceGroupUnreadable",
                "A group on which `onlyGroups` depends, or one of its members, cannot be seen.",
                "Correct its name, or grant the account the right to read it.",
            ),
            reason("SourceAccessDenied", "The account may not search there.", "Grant it the right to read."),
            reason("SourceSearchRefused", "The server refuses the search.", "The message holds its result code."),
            reason(
                "SourceCaInvalid",
                "The CA bundle holds no usable certificate.",
                "Put at least one CERTIFICATE block into it.",
            ),
            reason(
                "SourceKeyInvalid",
                "The key of the service account cannot be used.",
                "Put the file into the Secret as Google gave it out.",
            ),
            reason(
                "SourceTokenFileUnreadable",
                "The token of the workload is not in the operator's pod.",
                "Mount it as the documentation of the source says.",
            ),
            reason(
                "SourceDelegationMissing",
                "The service account, or the workload, may not act for the administrator.",
                "Grant what the message names in Google's admin console, or in Google Cloud.",
            ),
            reason(
                "SourceNotFound",
                "Google knows no such customer, domain or group.",
                "Correct `customer`, `domain` or `onlyGroups`.",
            ),
            reason(
                "SourceQueryRefused",
                "Google does not understand the query.",
                "Correct `userQuery`, `groups.query` or the attribute that the message names.",
            ),
            reason(
                "SourceRateLimited",
                "Google asks to slow down.",
                "Nothing if it passes; otherwise lower `requestsPerSecond`, or raise the quota of the project.",
            ),
            reason("SourceRedirects", "The answer was a redirect, which is not followed.", "Check proxies in between."),
            reason(
                "SourceScopeUnknown",
                "The members of a group of `onlyGroups` cannot be read, so it is not known who is meant.",
                "Let the administrator read that group, or take it out of `onlyGroups` and of what it is nested in.",
            ),
            reason(
                "ReadIncomplete",
                "The other side never said that it was done.",
                "Nothing if it passes; otherwise look at the server's log.",
            ),
            reason(
                "ReadRepeatsPages",
                "The other side hands out the same page again and again.",
                "Set another page size, or look at the server.",
            ),
            reason("ReadTooLarge", "There are more entries than the operator takes.", "Narrow the search."),
        ],
    },
    Section {
        title: "The target",
        introduction: "The target was not read whole, or refused a change. Reasons of `Ready` and `TargetHealthy`, and \
                       of `status.lastApplied.failures`.",
        reasons: &[
            reason(
                "TargetPlaintextRefused",
                "The token would have gone over an unencrypted connection, so it was not sent.",
                "Write an `https://` URL.",
            ),
            reason("TargetUrlInvalid", "The URL cannot be the base of a service.", "Write `https://HOST/PATH`."),
            reason("TargetCaInvalid", "`tls.caBundle` holds no certificate.", "Put a PEM block into it."),
            reason("TargetTokenInvalid", "The token is empty or cannot stand in a header.", "Correct the Secret."),
            reason("TargetTlsFailed", "No encrypted connection came about.", "Check that the port speaks HTTPS."),
            reason("TargetHostUnknown", "The host has no address.", "Check the URL and the cluster's DNS."),
            reason(
                "TargetCertificateUntrusted",
                "The service's certificate is not trusted.",
                "Give its authority in `tls.caBundle`, or renew the certificate.",
            ),
            reason(
                "TargetUnavailable",
                "The service cannot be reached, or did not answer in time.",
                "Check the service and the network policies.",
            ),
            reason(
                "TargetAuthFailed",
                "The service does not accept the token.",
                "Put a valid one into the Secret; it is read again within ten minutes. If the service was made to accept \
                 this one, ask for a run.",
            ),
            reason(
                "TargetForbidden",
                "The token lacks a right.",
                "Grant it the right to read and write people and groups.",
            ),
            reason("TargetNotFound", "The URL does not exist there.", "Check that `/Users` lies below it."),
            reason(
                "TargetRedirects",
                "The service redirects, which is not followed.",
                "If that is the right place, write it as the URL.",
            ),
            reason(
                "TargetRateLimited",
                "The service asks to slow down.",
                "Lower `requestsPerSecond`; the next run comes when the service said.",
            ),
            reason("TargetServerError", "The service failed.", "Look into its log."),
            reason("TargetRefused", "The service refused the request.", "The message holds its answer."),
            reason("TargetNotScim", "What answers there is not a SCIM service.", "Check the URL."),
            reason("TargetAnswerTooLarge", "An answer exceeds what the operator takes.", "Lower `pageSize`."),
            reason(
                "TargetReadIncomplete",
                "A list ended before it was complete.",
                "Nothing if it passes; otherwise look at the log of the service, or set `paging`.",
            ),
            reason("TargetReadTooLarge", "The service holds more than the operator takes.", "Split the resource."),
            reason(
                "TargetObjectGone",
                "The service no longer has what was to be changed.",
                "Nothing: the next run plans it anew.",
            ),
            reason(
                "TargetObjectChanged",
                "What was to be deleted was changed there since it was read, so it was left.",
                "Nothing: the next run plans it anew.",
            ),
            reason(
                "TargetConflict",
                "A value that has to be unique belongs to another object there.",
                "Change or remove that object, or choose another `adoption`.",
            ),
            reason(
                "GroupNotCreated",
                "The group of a membership could not be created.",
                "See the failure of the group.",
            ),
            reason("MemberNotCreated", "The member of a group could not be created.", "See the failure of the member."),
        ],
    },
    Section {
        title: "The cluster",
        introduction: "The API server did not do what was asked, or what is kept there cannot be used.",
        reasons: &[
            reason(
                "KubernetesForbidden",
                "The operator lacks a right.",
                "Grant it, as the chart's roles do; the message names it.",
            ),
            reason("KubernetesRefused", "The API server refused a request.", "The message holds its answer."),
            reason("KubernetesUnavailable", "The API server did not answer.", "Nothing if it passes."),
            reason("PackingFailed", "A plan or state could not be packed.", "Look at the operator's log."),
            reason("StoredPlanUnusable", "A stored plan cannot be read.", "Delete its objects and approve anew."),
            reason(
                "StateUnusable",
                "What is remembered of earlier runs is damaged. Nothing runs, because it would be forgotten who is \
                 managed and who was suspended when.",
                "Restore the DirectorySyncState objects from a backup, or delete them to start anew from external ids.",
            ),
            reason(
                "StateTooNew",
                "A newer version of the operator wrote what is remembered.",
                "Run that version or a newer one.",
            ),
            reason("StateDamaged", "The stored state is no state.", "As `StateUnusable`."),
            reason("StateVersionUnknown", "The stored state has a format of another version.", "As `StateTooNew`."),
            reason("StateTooLarge", "The stored state exceeds its bounds.", "As `StateUnusable`."),
        ],
    },
];

/// The reason with this name.
pub fn find(name: &str) -> Option<Reason> {
    SECTIONS.iter().flat_map(|section| section.reasons).find(|reason| reason.name == name).copied()
}

/// The reference of all reasons, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# Reasons\n\nOne word says why: the same in conditions, in events, in the log and as a label of metrics. The \
         message beside it says what, where and how to mend it.\n",
    );
    for section in SECTIONS {
        // Writing into a String cannot fail.
        let _ = write!(text, "\n## {}\n\n{}\n\n", section.title, section.introduction);
        text.push_str("| reason | meaning | what to do |\n|---|---|---|\n");
        for Reason { name, meaning, remedy } in section.reasons {
            let _ = writeln!(text, "| `{name}` | {meaning} | {remedy} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The code of a file without its tests.
    fn code(path: &Path) -> String {
        let text = std::fs::read_to_string(path).unwrap();
        text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
    }

    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["tests", "examples", "benches"].contains(&name.as_str()) {
                files(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") && !["tests.rs", "reasons.rs"].contains(&&*name) {
                found.push(path);
            }
        }
    }

    /// Words in quotes that look like a reason.
    fn words(text: &str) -> impl Iterator<Item = &str> {
        let is_word = |word: &&str| {
            word.len() > 3
                && word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_alphanumeric())
        };
        text.split('"').skip(1).step_by(2).filter(is_word)
    }

    /// Everything that the operator's code gives as a reason: what functions called `reason` return, and what is
    /// written out where a cause, an answer or a constant is made.
    fn given() -> BTreeSet<String> {
        let mut sources = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut sources);
        let mut given = BTreeSet::new();
        for code in sources.iter().map(|path| code(path)) {
            for body in code.split("fn reason(").skip(1) {
                let end = body.find("\n    }\n").unwrap_or(body.len());
                given.extend(words(&body[..end]).map(str::to_owned));
            }
            for mark in ["reason: \"", "Cause::new(\"", "Cause::new(\n", "Some(\"Stopped", "REASON: &str = \""] {
                for rest in code.split(mark).skip(1) {
                    // The text that stands there, and none that comes after it.
                    let text = rest.trim_start().trim_start_matches('"').split('"').next().unwrap_or_default();
                    given.extend(words(&format!("\"{text}\"")).map(str::to_owned));
                }
            }
        }
        given
    }

    #[test]
    fn every_reason_that_the_code_gives_is_explained() {
        let known: BTreeSet<_> =
            SECTIONS.iter().flat_map(|section| section.reasons).map(|reason| reason.name).collect();
        let given = given();
        assert!(given.len() > 60, "the search finds {} reasons, so it looks in the wrong places", given.len());
        let missing: Vec<_> = given.iter().filter(|name| !known.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "explain {missing:?} in operator/controller/src/reasons.rs");
    }

    #[test]
    fn every_reason_is_explained_once_and_is_a_valid_reason() {
        let mut names = BTreeSet::new();
        for reason in SECTIONS.iter().flat_map(|section| section.reasons) {
            assert!(names.insert(reason.name), "{} twice", reason.name);
            assert!(reason.name.len() <= 128 && reason.name.chars().all(|c| c.is_ascii_alphanumeric()));
            assert!(reason.meaning.ends_with('.'), "{}", reason.name);
            assert_eq!(find(reason.name), Some(*reason));
        }
    }
}
