//! What is measured: one table, from which the metrics are registered and their reference is rendered.

use directory_sync_api::DirectorySyncStatus;
use directory_sync_core::operation::Verb;
use directory_sync_targets::RequestObserver;
use prometheus::core::Collector;
use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::fmt::Write as _;
use std::time::Duration;

/// Name, type, labels and meaning of one metric.
struct Described {
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
}

const fn described(
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Described {
    Described { name, kind, labels, meaning }
}

const RUNS: Described = described(
    "directorysync_reconcile_total",
    "counter",
    &["outcome"],
    "Runs by how they ended: Succeeded, or the reason of the failure.",
);
const RUN_DURATION: Described =
    described("directorysync_reconcile_duration_seconds", "histogram", &["outcome"], "How long runs took.");
const IN_BACKOFF: Described =
    described("directorysync_objects_in_backoff", "gauge", &[], "Resources that wait after a failure.");
const CONDITION: Described = described(
    "directorysync_resource_condition",
    "gauge",
    &["namespace", "name", "type"],
    "1 where the condition of the resource is True, else 0.",
);
const PLAN_CHANGES: Described = described(
    "directorysync_plan_changes",
    "gauge",
    &["namespace", "name", "action"],
    "Changes in the current plan that create, update or remove.",
);
const ENTRIES: Described = described(
    "directorysync_source_entries",
    "gauge",
    &["namespace", "name", "kind"],
    "People and groups that the last good read of the source found.",
);
const LAST_SUCCESS: Described = described(
    "directorysync_last_success_timestamp_seconds",
    "gauge",
    &["namespace", "name"],
    "When the last run that did all it was allowed to do ended, in seconds since 1970.",
);
const OPERATIONS: Described = described(
    "directorysync_apply_operations_total",
    "counter",
    &["target", "operation", "outcome"],
    "Changes sent, by what the target answered: succeeded or failed.",
);
const REQUESTS: Described = described(
    "directorysync_target_requests_total",
    "counter",
    &["target", "operation", "code"],
    "Requests to targets by HTTP status, or error where there was no answer.",
);
const REQUEST_DURATION: Described = described(
    "directorysync_target_request_duration_seconds",
    "histogram",
    &["target", "operation"],
    "How long requests to targets took.",
);
const RATE_LIMITED: Described = described(
    "directorysync_target_rate_limited_total",
    "counter",
    &["target"],
    "How often a target asked to slow down.",
);

const ALL: [&Described; 11] = [
    &RUNS,
    &RUN_DURATION,
    &IN_BACKOFF,
    &CONDITION,
    &PLAN_CHANGES,
    &ENTRIES,
    &LAST_SUCCESS,
    &OPERATIONS,
    &REQUESTS,
    &REQUEST_DURATION,
    &RATE_LIMITED,
];

/// Everything that is measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    runs: IntCounterVec,
    run_duration: HistogramVec,
    in_backoff: IntGauge,
    condition: IntGaugeVec,
    plan_changes: IntGaugeVec,
    entries: IntGaugeVec,
    last_success: GaugeVec,
    operations: IntCounterVec,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    rate_limited: IntCounterVec,
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        Ok(Self {
            runs: registered(&registry, IntCounterVec::new(options(&RUNS), RUNS.labels))?,
            run_duration: registered(&registry, HistogramVec::new(timing(&RUN_DURATION), RUN_DURATION.labels))?,
            in_backoff: registered(&registry, IntGauge::with_opts(options(&IN_BACKOFF)))?,
            condition: registered(&registry, IntGaugeVec::new(options(&CONDITION), CONDITION.labels))?,
            plan_changes: registered(&registry, IntGaugeVec::new(options(&PLAN_CHANGES), PLAN_CHANGES.labels))?,
            entries: registered(&registry, IntGaugeVec::new(options(&ENTRIES), ENTRIES.labels))?,
            last_success: registered(&registry, GaugeVec::new(options(&LAST_SUCCESS), LAST_SUCCESS.labels))?,
            operations: registered(&registry, IntCounterVec::new(options(&OPERATIONS), OPERATIONS.labels))?,
            requests: registered(&registry, IntCounterVec::new(options(&REQUESTS), REQUESTS.labels))?,
            request_duration: registered(
                &registry,
                HistogramVec::new(timing(&REQUEST_DURATION), REQUEST_DURATION.labels),
            )?,
            rate_limited: registered(&registry, IntCounterVec::new(options(&RATE_LIMITED), RATE_LIMITED.labels))?,
            registry,
        })
    }

    /// A run ended.
    pub fn run(&self, outcome: &str, took: Duration) {
        self.runs.with_label_values(&[outcome]).inc();
        self.run_duration.with_label_values(&[outcome]).observe(took.as_secs_f64());
    }

    /// So many resources wait after a failure.
    pub fn in_backoff(&self, count: usize) {
        self.in_backoff.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The target answered one operation.
    pub fn answered(&self, target: &str, verb: Verb, succeeded: bool) {
        let outcome = if succeeded { "succeeded" } else { "failed" };
        self.operations.with_label_values(&[target, verb.into(), outcome]).inc();
    }

    /// The status of a resource was written.
    pub fn status(&self, namespace: &str, name: &str, status: &DirectorySyncStatus) {
        for condition in &status.conditions {
            let is_true = i64::from(condition.status == "True");
            self.condition.with_label_values(&[namespace, name, &condition.type_]).set(is_true);
            if condition.type_ == "Ready"
                && is_true == 1
                && let Some(ended) = &status.last_run_time
            {
                self.last_success.with_label_values(&[namespace, name]).set(ended.0.as_second() as f64);
            }
        }
        for absent in ["Reconciling", "Stalled"] {
            if !status.conditions.iter().any(|condition| condition.type_ == absent) {
                self.condition.with_label_values(&[namespace, name, absent]).set(0);
            }
        }
        if let Some(plan) = &status.plan {
            let (users, groups) = (&plan.summary.users, &plan.summary.groups);
            let (aliases, memberships) = (&plan.summary.aliases, &plan.summary.memberships);
            for (action, count) in [
                ("create", users.create + groups.create + aliases.add + memberships.add),
                ("update", users.adopt + users.update + users.moved + users.restore + groups.adopt + groups.update),
                ("remove", users.suspend + users.delete + groups.delete + aliases.remove + memberships.remove),
            ] {
                self.plan_changes.with_label_values(&[namespace, name, action]).set(count);
            }
        }
        if let Some(source) = &status.source {
            self.entries.with_label_values(&[namespace, name, "User"]).set(source.users);
            self.entries.with_label_values(&[namespace, name, "Group"]).set(source.groups);
        }
    }

    /// Removes the series of a resource that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        // A series that was never there need not go.
        for kind in ["Ready", "Reconciling", "Stalled", "SourceHealthy", "TargetHealthy", "PlanHeld"] {
            let _ = self.condition.remove_label_values(&[namespace, name, kind]);
        }
        for action in ["create", "update", "remove"] {
            let _ = self.plan_changes.remove_label_values(&[namespace, name, action]);
        }
        for kind in ["User", "Group"] {
            let _ = self.entries.remove_label_values(&[namespace, name, kind]);
        }
        let _ = self.last_success.remove_label_values(&[namespace, name]);
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl RequestObserver for Metrics {
    fn request(&self, target: &'static str, operation: &'static str, code: &str, elapsed: Duration) {
        self.requests.with_label_values(&[target, operation, code]).inc();
        self.request_duration.with_label_values(&[target, operation]).observe(elapsed.as_secs_f64());
    }

    fn rate_limited(&self, target: &'static str) {
        self.rate_limited.with_label_values(&[target]).inc();
    }
}

/// The reference of all metrics, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# Metrics\n\nServed at `/metrics` in Prometheus' text format.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for Described { name, kind, labels, meaning } in ALL {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {meaning} |", labels.join(", "));
    }
    text
}

fn options(described: &Described) -> Opts {
    Opts::new(described.name, described.meaning)
}

fn timing(described: &Described) -> HistogramOpts {
    HistogramOpts::from(options(described)).buckets(vec![0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0])
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> prometheus::Result<C> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_rendered_with_the_type_and_meaning_of_the_reference() {
        let metrics = Metrics::new().unwrap();
        metrics.run("Succeeded", Duration::from_secs(1));
        metrics.answered("scim", Verb::CreateUser, true);
        metrics.request("scim", "read", "200", Duration::from_secs(1));
        metrics.rate_limited("scim");
        for (gauge, labels) in [
            (&metrics.condition, ["a", "b", "Ready"]),
            (&metrics.plan_changes, ["a", "b", "create"]),
            (&metrics.entries, ["a", "b", "User"]),
        ] {
            gauge.with_label_values(&labels).set(1);
        }
        metrics.last_success.with_label_values(&["a", "b"]).set(1.0);
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for Described { name, kind, meaning, .. } in ALL {
            assert!(text.contains(&format!("# HELP {name} {meaning}\n# TYPE {name} {kind}\n")), "{name}");
            assert!(reference().contains(name));
        }
        metrics.forget("a", "b");
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(!text.contains("namespace=\"a\""), "{text}");
    }
}
