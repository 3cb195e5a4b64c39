//! What is measured.

mod kube_client;
mod table;

pub use table::reference;

use directory_sync_api::conditions::{PLAN_HELD, READY, RECONCILING, SOURCE_HEALTHY, STALLED, TARGET_HEALTHY, find};
use directory_sync_api::status::{PlanSummary, SideStatus};
use directory_sync_api::{DirectorySync, DirectorySyncStatus};
use directory_sync_core::applied::{Answer, Outcome};
use directory_sync_core::gate::{Bound, Hold, Judgement};
use directory_sync_core::operation::Verb;
use directory_sync_targets::RequestObserver;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Encoder, GaugeVec, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result, TextEncoder,
};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use table::Described;

/// The one controller there is.
const CONTROLLER: &str = "directorysync";

const CONDITIONS: [&str; 6] = [READY, RECONCILING, STALLED, SOURCE_HEALTHY, TARGET_HEALTHY, PLAN_HELD];

/// Everything that is measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    runs: IntCounterVec,
    run_duration: HistogramVec,
    run_errors: IntCounterVec,
    look_errors: IntCounterVec,
    waiting: IntGaugeVec,
    active: IntGaugeVec,
    started: GaugeVec,
    in_backoff: IntGauge,
    condition: IntGaugeVec,
    suspended: IntGaugeVec,
    plan_changes: IntGaugeVec,
    plan_held: IntGaugeVec,
    plan_warnings: IntGaugeVec,
    guard_tripped: IntCounterVec,
    source_entries: IntGaugeVec,
    target_entries: IntGaugeVec,
    source_duration: HistogramVec,
    shared_reads: IntCounterVec,
    target_duration: HistogramVec,
    last_success: GaugeVec,
    operations: IntCounterVec,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    rate_limited: IntCounterVec,
    kube_requests: IntCounterVec,
    kube_request_duration: HistogramVec,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub enum Ended {
    /// It did all that it was allowed to do.
    Succeeded,
    /// It failed and is repeated by itself.
    Failed,
    /// Somebody has to change something first.
    Stalled,
    /// It was given up before anything was sent.
    Interrupted,
}

/// Counts as a run that waits for its turn until it is dropped.
#[derive(Debug)]
pub struct Waiting(IntGaugeVec);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.with_label_values(&[CONTROLLER]).dec();
    }
}

/// Counts as a run under way until it is dropped.
#[derive(Debug)]
pub struct Active {
    count: IntGaugeVec,
    started: GaugeVec,
    namespace: String,
    name: String,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.count.with_label_values(&[CONTROLLER]).dec();
        // It is there: nothing but this removes it.
        let _ = self.started.remove_label_values(&[&self.namespace, &self.name]);
    }
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If two metrics have one name.
    pub fn new() -> Result<Self> {
        let registry = Registry::new();
        let counter = |of: &Described| registered(&registry, IntCounterVec::new(of.options(), of.labels));
        let gauge = |of: &Described| registered(&registry, IntGaugeVec::new(of.options(), of.labels));
        let histogram = |of: &Described| registered(&registry, HistogramVec::new(of.timing(), of.labels));
        let time = |of: &Described| registered(&registry, GaugeVec::new(of.options(), of.labels));
        gauge(&table::BUILD_INFO)?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            runs: counter(&table::RUNS)?,
            run_duration: histogram(&table::RUN_DURATION)?,
            run_errors: counter(&table::RUN_ERRORS)?,
            look_errors: counter(&table::LOOK_ERRORS)?,
            waiting: gauge(&table::WAITING)?,
            active: gauge(&table::ACTIVE)?,
            started: time(&table::STARTED)?,
            in_backoff: registered(&registry, IntGauge::with_opts(table::IN_BACKOFF.options()))?,
            condition: gauge(&table::CONDITION)?,
            suspended: gauge(&table::SUSPENDED)?,
            plan_changes: gauge(&table::PLAN_CHANGES)?,
            plan_held: gauge(&table::PLAN_HELD)?,
            plan_warnings: gauge(&table::PLAN_WARNINGS)?,
            guard_tripped: counter(&table::GUARD_TRIPPED)?,
            source_entries: gauge(&table::SOURCE_ENTRIES)?,
            target_entries: gauge(&table::TARGET_ENTRIES)?,
            source_duration: histogram(&table::SOURCE_DURATION)?,
            shared_reads: counter(&table::SHARED_READS)?,
            target_duration: histogram(&table::TARGET_DURATION)?,
            last_success: time(&table::LAST_SUCCESS)?,
            operations: counter(&table::OPERATIONS)?,
            requests: counter(&table::REQUESTS)?,
            request_duration: histogram(&table::REQUEST_DURATION)?,
            rate_limited: counter(&table::RATE_LIMITED)?,
            kube_requests: counter(&table::KUBE_REQUESTS)?,
            kube_request_duration: histogram(&table::KUBE_REQUEST_DURATION)?,
            registry,
        })
    }

    /// A run waits for its turn.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.waiting.with_label_values(&[CONTROLLER]).inc();
        Waiting(self.waiting.clone())
    }

    /// A run has its turn and begins.
    #[must_use]
    pub fn begin(&self, sync: &DirectorySync) -> Active {
        let (namespace, name) = (sync.namespace().unwrap_or_default(), sync.name_any());
        self.active.with_label_values(&[CONTROLLER]).inc();
        let now = jiff::Timestamp::now().as_second();
        self.started.with_label_values(&[&namespace, &name]).set(now as f64);
        Active { count: self.active.clone(), started: self.started.clone(), namespace, name }
    }

    /// A run ended.
    pub fn run(&self, ended: Ended, took: Duration) {
        let labels = [CONTROLLER, ended.into()];
        self.runs.with_label_values(&labels).inc();
        self.run_duration.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A run failed.
    pub fn failed(&self, reason: &str, retryable: bool) {
        self.run_errors.with_label_values(&[CONTROLLER, reason, if retryable { "true" } else { "false" }]).inc();
    }

    /// A look at a resource failed, which is not the same as a run that failed.
    pub fn look_failed(&self, reason: &str) {
        self.look_errors.with_label_values(&[CONTROLLER, reason]).inc();
    }

    /// So many resources wait after a failure.
    pub fn in_backoff(&self, count: usize) {
        self.in_backoff.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A source was read whole, for however many resources.
    pub fn source_read(&self, source: &str, took: Duration) {
        self.source_duration.with_label_values(&[source]).observe(took.as_secs_f64());
    }

    /// A run uses the read of another resource.
    pub fn shared(&self, source: &str) {
        self.shared_reads.with_label_values(&[source]).inc();
    }

    /// A target was read whole.
    pub fn target_read(&self, target: &str, took: Duration) {
        self.target_duration.with_label_values(&[target]).observe(took.as_secs_f64());
    }

    /// A plan was judged.
    pub fn judged(&self, sync: &DirectorySync, judgement: &Judgement<'_>) {
        let (namespace, name) = (sync.namespace().unwrap_or_default(), sync.name_any());
        clear(&self.plan_warnings, &namespace, &name);
        for warning in judgement.plan().warnings().iter() {
            let count = i64::try_from(warning.count).unwrap_or(i64::MAX);
            self.plan_warnings.with_label_values(&[&namespace, &name, warning.kind.reason()]).add(count);
        }
        let is_guard = |hold: &&Hold| {
            matches!(
                hold,
                Hold::LimitExceeded { bound: Bound::Removals, .. }
                    | Hold::SourceShrunk { .. }
                    | Hold::ValuesVanished { .. }
            )
        };
        // Several limits may be exceeded in one run, with others between them.
        let reasons: BTreeSet<_> = judgement.holds().iter().filter(is_guard).map(Hold::reason).collect();
        for reason in reasons {
            self.guard_tripped.with_label_values(&[&namespace, &name, reason]).inc();
        }
    }

    /// Something became of one operation.
    pub fn answered(&self, target: &str, outcome: &Outcome) {
        let became = match outcome.answer() {
            Answer::Done { .. } | Answer::AlreadyDone { .. } => "Succeeded",
            Answer::Failed { .. } => "Failed",
            Answer::NotSent { .. } => "NotSent",
        };
        self.operations.with_label_values(&[target, outcome.verb().into(), became]).inc();
    }

    /// A resource was looked at, and this is its status.
    pub fn resource(&self, sync: &DirectorySync, status: &DirectorySyncStatus) {
        let (namespace, name) = (&*sync.namespace().unwrap_or_default(), &*sync.name_any());
        self.suspended.with_label_values(&[namespace, name]).set(i64::from(sync.spec.suspend));
        self.conditions(namespace, name, &status.conditions);
        if let Some(ended) = &status.last_run_time
            && find(&status.conditions, READY).is_some_and(|ready| ready.status == "True")
        {
            self.last_success.with_label_values(&[namespace, name]).set(ended.0.as_second() as f64);
        }
        if let Some(plan) = &status.plan {
            for (verb, count) in by_verb(&plan.summary) {
                self.plan_changes.with_label_values(&[namespace, name, verb.into()]).set(count);
            }
            clear(&self.plan_held, namespace, name);
            for hold in &plan.held {
                self.plan_held.with_label_values(&[namespace, name, &hold.reason]).set(hold.waiting);
            }
        }
        let sides = [(&self.source_entries, &status.source), (&self.target_entries, &status.target)];
        for (gauge, side) in sides {
            let Some(SideStatus { users, groups, memberships, .. }) = side else { continue };
            for (kind, count) in [("User", users), ("Group", groups), ("Membership", memberships)] {
                gauge.with_label_values(&[namespace, name, kind]).set(*count);
            }
        }
    }

    /// The conditions of a resource.
    pub fn conditions(&self, namespace: &str, name: &str, conditions: &[Condition]) {
        for kind in CONDITIONS {
            let now = find(conditions, kind).map_or("False", |condition| condition.status.as_str());
            for status in ["True", "False", "Unknown"] {
                self.condition.with_label_values(&[namespace, name, kind, status]).set(i64::from(status == now));
            }
        }
    }

    /// Removes the series of a resource that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let gauges = [
            &self.condition,
            &self.suspended,
            &self.plan_changes,
            &self.plan_held,
            &self.plan_warnings,
            &self.source_entries,
            &self.target_entries,
        ];
        for gauge in gauges {
            clear(gauge, namespace, name);
        }
        clear(&self.last_success, namespace, name);
        clear(&self.started, namespace, name);
        clear(&self.guard_tripped, namespace, name);
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// If the encoder finds a metric without a name.
    pub fn render(&self) -> Result<Vec<u8>> {
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

/// Removes every series of one resource, whatever its other labels.
fn clear<T: MetricVecBuilder>(series: &MetricVec<T>, namespace: &str, name: &str)
where
    MetricVec<T>: Collector,
{
    for family in series.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<_, _> = metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
            if labels.get("namespace") == Some(&namespace) && labels.get("name") == Some(&name) {
                // It cannot be gone: it was collected just now. If it is, that is what was wanted.
                let _ = series.remove(&labels);
            }
        }
    }
}

fn by_verb(summary: &PlanSummary) -> [(Verb, i64); 15] {
    let PlanSummary { users, groups, aliases, memberships } = summary;
    [
        (Verb::CreateGroup, groups.create),
        (Verb::AdoptGroup, groups.adopt),
        (Verb::UpdateGroup, groups.update),
        (Verb::CreateUser, users.create),
        (Verb::AdoptUser, users.adopt),
        (Verb::UpdateUser, users.update),
        (Verb::MoveUser, users.moved),
        (Verb::RestoreUser, users.restore),
        (Verb::AddAlias, aliases.add),
        (Verb::RemoveAlias, aliases.remove),
        (Verb::AddMember, memberships.add),
        (Verb::RemoveMember, memberships.remove),
        (Verb::SuspendUser, users.suspend),
        (Verb::DeleteUser, users.delete),
        (Verb::DeleteGroup, groups.delete),
    ]
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: Result<C>) -> Result<C> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything measured once.
    fn measured() -> Metrics {
        let metrics = Metrics::new().unwrap();
        drop(metrics.waiting());
        metrics.look_failed("KubernetesUnavailable");
        metrics.kube_requests.with_label_values(&["GET", "200"]).inc();
        metrics.kube_request_duration.with_label_values(&["GET"]).observe(0.1);
        metrics.run(Ended::Succeeded, Duration::from_secs(1));
        metrics.failed("SourceUnavailable", true);
        metrics.source_read("ldap", Duration::from_secs(1));
        metrics.shared("ldap");
        metrics.target_read("scim", Duration::from_secs(2));
        metrics.operations.with_label_values(&["scim", "CreateUser", "Succeeded"]).inc();
        metrics.request("scim", "read", "200", Duration::from_secs(1));
        metrics.rate_limited("scim");
        let condition = |kind: &str, status: &str| {
            serde_json::json!({
                "type": kind, "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let side = serde_json::json!({
            "users": 3, "groups": 2, "memberships": 5, "readAt": "2026-01-01T00:00:00Z", "duration": "1s",
        });
        let status = serde_json::from_value(serde_json::json!({
            "conditions": [condition("Ready", "True"), condition("PlanHeld", "True")],
            "source": side, "target": side, "lastRunTime": "2026-01-01T00:00:00Z",
        }));
        let mut status: DirectorySyncStatus = status.unwrap();
        status.plan = Some(directory_sync_api::status::PlanStatus {
            digest: String::new(),
            summary: PlanSummary::default(),
            held: vec![directory_sync_api::status::Hold {
                reason: "LimitExceeded".to_owned(),
                limit: None,
                planned: None,
                allowed: None,
                waiting: 7,
            }],
            effective: directory_sync_api::status::EffectiveRules::default(),
            warnings: Vec::new(),
            warning_count: 0,
            changes: Vec::new(),
            stored: None,
            planned_at: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
        });
        let mut sync = DirectorySync::new("b", serde_json::from_str("{\"source\":{},\"target\":{}}").unwrap());
        sync.metadata.namespace = Some("a".to_owned());
        drop(metrics.begin(&sync));
        assert!(text(&metrics).contains("directorysync_reconcile_active{controller=\"directorysync\"} 0\n"));
        metrics.started.with_label_values(&["a", "b"]).set(1.0);
        metrics.resource(&sync, &status);
        metrics.plan_warnings.with_label_values(&["a", "b", "WithoutId"]).set(1);
        metrics.guard_tripped.with_label_values(&["a", "b", "SourceShrunk"]).inc();
        metrics
    }

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.render().unwrap()).unwrap()
    }

    #[test]
    fn every_metric_is_rendered_with_the_type_and_meaning_of_the_reference() {
        let text = text(&measured());
        for Described { name, kind, meaning, .. } in table::ALL {
            assert!(text.contains(&format!("# HELP {name} {meaning}\n# TYPE {name} {kind}\n")), "{name}");
            assert!(reference().contains(name));
        }
    }

    #[test]
    fn a_condition_has_one_status_and_is_false_where_it_is_absent() {
        let text = text(&measured());
        for (kind, status, value) in [("Ready", "True", 1), ("Ready", "False", 0), ("Stalled", "False", 1)] {
            let labels = format!("{{name=\"b\",namespace=\"a\",status=\"{status}\",type=\"{kind}\"}}");
            assert!(text.contains(&format!("directorysync_resource_condition{labels} {value}\n")), "{labels}");
        }
        assert!(
            text.contains("directorysync_plan_held_changes{name=\"b\",namespace=\"a\",reason=\"LimitExceeded\"} 7")
        );
    }

    #[test]
    fn a_run_that_is_under_way_says_since_when_and_a_finished_one_does_not() {
        let metrics = Metrics::new().unwrap();
        let mut sync = DirectorySync::new("b", serde_json::from_str("{\"source\":{},\"target\":{}}").unwrap());
        sync.metadata.namespace = Some("a".to_owned());
        let started = "directorysync_reconcile_started_timestamp_seconds{name=\"b\",namespace=\"a\"}";
        let active = metrics.begin(&sync);
        assert!(text(&metrics).contains(started));
        drop(active);
        assert!(!text(&metrics).contains(started));
    }

    #[test]
    fn no_series_of_a_resource_outlives_it() {
        let metrics = measured();
        metrics.conditions("a", "other", &[]);
        metrics.forget("a", "b");
        let text = text(&metrics);
        assert!(!text.contains("name=\"b\""), "{text}");
        assert!(text.contains("name=\"other\""), "{text}");
    }
}
