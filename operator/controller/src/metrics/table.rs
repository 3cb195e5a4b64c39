//! One table of all metrics, from which they are registered and their reference is rendered.

use prometheus::{HistogramOpts, Opts};
use std::fmt::Write as _;

/// Name, type, labels and meaning of one metric.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) meaning: &'static str,
}

impl Described {
    pub(super) fn options(&self) -> Opts {
        Opts::new(self.name, self.meaning)
    }

    /// From a hundredth of a second to hours.
    pub(super) fn timing(&self) -> HistogramOpts {
        let buckets = vec![0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];
        HistogramOpts::from(self.options()).buckets(buckets)
    }
}

macro_rules! table {
    ($($constant:ident: $kind:literal, $name:literal, $labels:expr, $meaning:literal;)*) => {
        $(pub(super) const $constant: Described =
            Described { name: $name, kind: $kind, labels: &$labels, meaning: $meaning };)*

        pub(super) const ALL: &[&Described] = &[$(&$constant),*];
    };
}

table! {
    BUILD_INFO: "gauge", "directorysync_build_info", ["version"],
        "Always 1; the label says which version runs.";
    RUNS: "counter", "directorysync_reconcile_total", ["controller", "outcome"],
        "Runs by how they ended: Succeeded, Failed (repeated by itself), Stalled (somebody has to change something) or \
         Interrupted (given up before anything was sent).";
    RUN_DURATION: "histogram", "directorysync_reconcile_duration_seconds", ["controller", "outcome"],
        "How long runs took, without the wait for their turn.";
    RUN_ERRORS: "counter", "directorysync_reconcile_errors_total", ["controller", "reason", "retryable"],
        "Runs that failed, by the reason that the condition gives; retryable is false where somebody has to change \
         something first.";
    LOOK_ERRORS: "counter", "directorysync_look_errors_total", ["controller", "reason"],
        "Looks at resources that failed before it was known whether a run is due, or after a run, because the API server \
         did not do what was asked or the resource cannot be decoded.";
    WAITING: "gauge", "directorysync_reconcile_waiting", ["controller"],
        "Runs that wait for their turn: for another run on the same target, or because enough are under way.";
    ACTIVE: "gauge", "directorysync_reconcile_active", ["controller"],
        "Runs under way, without those that wait for their turn.";
    STARTED: "gauge", "directorysync_reconcile_started_timestamp_seconds", ["namespace", "name"],
        "When the run that is under way got its turn, in seconds since 1970; absent while none is. A run that never ends \
         shows here, and not in the probes.";
    IN_BACKOFF: "gauge", "directorysync_objects_in_backoff", [],
        "Resources that wait after a failure.";
    CONDITION: "gauge", "directorysync_resource_condition", ["namespace", "name", "type", "status"],
        "1 for the status (True, False, Unknown) that the condition has, else 0; a condition that is absent is False.";
    SUSPENDED: "gauge", "directorysync_resource_suspended", ["namespace", "name"],
        "1 where spec.suspend is true, else 0.";
    PLAN_CHANGES: "gauge", "directorysync_plan_changes", ["namespace", "name", "action"],
        "Changes in the current plan by what they do.";
    PLAN_HELD: "gauge", "directorysync_plan_held_changes", ["namespace", "name", "reason"],
        "Changes in the current plan that wait, by the reason that status.plan.held gives.";
    PLAN_WARNINGS: "gauge", "directorysync_plan_warnings", ["namespace", "name", "kind"],
        "What the last run warned of, by kind: values that were left out (MalformedValues), entries without an id \
         (WithoutId), and so on.";
    GUARD_TRIPPED: "counter", "directorysync_deletion_guard_tripped_total", ["namespace", "name", "reason"],
        "Runs in which a limit on removals (LimitExceeded) or a guard against a source that lost people \
         (SourceShrunk) or values (ValuesVanished) held changes back.";
    SOURCE_ENTRIES: "gauge", "directorysync_source_entries", ["namespace", "name", "kind"],
        "People, groups and memberships that the last good read of the source found; a read that several \
         resources use is told of each.";
    TARGET_ENTRIES: "gauge", "directorysync_target_entries", ["namespace", "name", "kind"],
        "People, groups and memberships that the last good read of the target found.";
    SOURCE_DURATION: "histogram", "directorysync_source_fetch_duration_seconds", ["source"],
        "How long whole reads of sources took; a read that several resources use counts once.";
    SHARED_READS: "counter", "directorysync_source_reads_shared_total", ["source"],
        "Runs that used the read of another resource with the same source and mapping instead of reading the source \
         themselves.";
    TARGET_DURATION: "histogram", "directorysync_target_fetch_duration_seconds", ["target"],
        "How long whole reads of targets took.";
    LAST_SUCCESS: "gauge", "directorysync_last_success_timestamp_seconds", ["namespace", "name"],
        "When the last run that did all it was allowed to do ended, in seconds since 1970.";
    OPERATIONS: "counter", "directorysync_apply_operations_total", ["target", "operation", "outcome"],
        "Changes by what became of them: Succeeded, Failed, or NotSent because something else failed first or the run \
         was stopped.";
    REQUESTS: "counter", "directorysync_target_requests_total", ["target", "operation", "code"],
        "Requests to targets by HTTP status, or error where there was no answer.";
    REQUEST_DURATION: "histogram", "directorysync_target_request_duration_seconds", ["target", "operation"],
        "How long requests to targets took.";
    KUBE_REQUESTS: "counter", "directorysync_kube_client_requests_total", ["method", "code"],
        "Requests to the Kubernetes API server by HTTP status, or error where there was no answer; repetitions by the \
         client are part of one request.";
    KUBE_REQUEST_DURATION: "histogram", "directorysync_kube_client_request_duration_seconds", ["method"],
        "How long requests to the Kubernetes API server took until the answer began.";
    RATE_LIMITED: "counter", "directorysync_target_rate_limited_total", ["target"],
        "How often a target asked to slow down.";
}

/// The reference of all metrics, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# Metrics\n\nServed at `/metrics` in Prometheus' text format. The series of a resource go when the resource \
         does.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for Described { name, kind, labels, meaning } in ALL {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {meaning} |", labels.join(", "));
    }
    text
}
