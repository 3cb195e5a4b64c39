//! What is remembered between runs.

mod bindings;
mod stored;

pub use bindings::{Binding, Bindings, Times};
pub use stored::{STATE_VERSION, StateError};

use crate::applied::{Answer, Applied};
use crate::capabilities::{Field, Fields};
use crate::gate::{Approved, Judgement};
use crate::operation::{NO_ROW, Verb};
use crate::password::Fingerprint;
use crate::plan::{Matches, Standing};
use crate::snapshot::Counts;
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};

/// What is remembered between runs of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    users: Bindings,
    groups: Bindings,
    baseline: Option<Counts>,
    /// The server of the last read, where there are several.
    server: Option<String>,
    seen: SeenFields,
    is_new: bool,
}

/// The fields that the source had values of at the last read whose plan was not held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SeenFields {
    /// Of people; [`Field::Active`] if somebody was inactive.
    pub users: Fields,
    /// Of groups.
    pub groups: Fields,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// What a run changes about the bindings of one kind.
#[derive(Default)]
struct Changes {
    /// Source ids that are bound, or (without a target id) claimed.
    bound: HashMap<String, Option<String>>,
    suspended: HashSet<String>,
    restored: HashSet<String>,
    removed: HashSet<String>,
    /// Passwords that the target took.
    passwords: HashMap<String, Fingerprint>,
}

impl State {
    /// Nothing is remembered: a first run, or the state was lost.
    pub fn new() -> Self {
        Self { is_new: true, ..Self::of(Bindings::default(), Bindings::default(), None) }
    }

    /// A state of these parts, which is not new.
    pub fn of(users: Bindings, groups: Bindings, baseline: Option<Counts>) -> Self {
        Self { users, groups, baseline, server: None, seen: SeenFields::default(), is_new: false }
    }

    /// The same, with the server of the last read.
    #[must_use]
    pub fn served_by(mut self, server: Option<String>) -> Self {
        self.server = server;
        self
    }

    /// The same, with the fields that the source had values of.
    #[must_use]
    pub fn with_seen(mut self, seen: SeenFields) -> Self {
        self.seen = seen;
        self
    }

    /// The fields that the source had values of at the last read whose plan was not held.
    pub fn seen(&self) -> SeenFields {
        self.seen
    }

    /// The server of the last read, where there are several.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Whether nothing was ever remembered, so that ownership is told from external ids.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// People.
    pub fn users(&self) -> &Bindings {
        &self.users
    }

    /// Groups.
    pub fn groups(&self) -> &Bindings {
        &self.groups
    }

    /// What the source held at the last read whose plan was not held.
    pub fn baseline(&self) -> Option<Counts> {
        self.baseline
    }

    /// The state to be saved before anything is sent: the creations that are about to be sent are claimed, so that an
    /// object created by a run that ends before it can save is known to be ours by its external id. `None` if nothing
    /// is created.
    #[must_use]
    pub fn claims(&self, judgement: &Judgement<'_>, approved: &Approved<'_>) -> Option<Self> {
        let (mut users, mut groups) = (Changes::default(), Changes::default());
        let source = judgement.plan().plan().source();
        for (_, operation) in approved.preview() {
            let row = operation.source as usize;
            match operation.verb {
                Verb::CreateUser => users.bound.insert(source.user(row).id().to_owned(), None),
                Verb::CreateGroup => groups.bound.insert(source.group(row).id().to_owned(), None),
                _ => None,
            };
        }
        if users.bound.is_empty() && groups.bound.is_empty() {
            return None;
        }
        Some(self.next(judgement, &users, &groups, None))
    }

    /// The state after a run: what the target's answers say, and when who was first missing.
    #[must_use]
    pub fn after(&self, judgement: &Judgement<'_>, applied: &Applied, now: Timestamp) -> Self {
        let (mut users, mut groups) = (Changes::default(), Changes::default());
        let plan = judgement.plan().plan();
        for outcome in applied.outcomes() {
            let operation = outcome.operation();
            let is_group = operation.verb.kind() == crate::operation::Kind::Group;
            let changes = if is_group { &mut groups } else { &mut users };
            let id = match (operation.source, is_group) {
                (NO_ROW, true) => plan.missing_group(operation.target),
                (NO_ROW, false) => plan.missing_user(operation.target),
                (row, true) => plan.source().group(row as usize).id().to_owned(),
                (row, false) => plan.source().user(row as usize).id().to_owned(),
            };
            let target_id = || match (operation.target, is_group) {
                (NO_ROW, _) => None,
                (row, true) => Some(plan.target().group(row as usize).id().to_owned()),
                (row, false) => Some(plan.target().user(row as usize).id().to_owned()),
            };
            if operation.fields.contains(Field::Password) && matches!(outcome.answer(), Answer::Done { .. }) {
                let user = plan.source().user(operation.source as usize);
                if let Some((key, password)) = plan.password_key.as_ref().zip(user.password()) {
                    changes.passwords.insert(id.clone(), key.fingerprint(&id, password));
                }
            }
            match (operation.verb, outcome.answer()) {
                (
                    Verb::CreateUser | Verb::CreateGroup,
                    Answer::Done { target_id } | Answer::AlreadyDone { target_id },
                ) => {
                    changes.bound.insert(id, target_id.clone());
                }
                // What became of it may not be known: the claim finds out by the external id.
                (Verb::CreateUser | Verb::CreateGroup, Answer::Failed { .. }) => {
                    changes.bound.insert(id, None);
                }
                (Verb::AdoptUser | Verb::AdoptGroup, Answer::Done { .. } | Answer::AlreadyDone { .. }) => {
                    changes.bound.insert(id, target_id());
                }
                (Verb::SuspendUser, Answer::Done { .. } | Answer::AlreadyDone { .. }) => {
                    changes.suspended.insert(id);
                }
                (Verb::RestoreUser, Answer::Done { .. } | Answer::AlreadyDone { .. }) => {
                    changes.restored.insert(id);
                }
                (Verb::DeleteUser | Verb::DeleteGroup, Answer::Done { .. } | Answer::AlreadyDone { .. }) => {
                    changes.removed.insert(id);
                }
                _ => {}
            }
        }
        // Whole seconds, as they are stored: what was read back is equal to what was written.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        self.next(judgement, &users, &groups, Some(now))
    }

    fn next(&self, judgement: &Judgement<'_>, users: &Changes, groups: &Changes, now: Option<Timestamp>) -> Self {
        let plan = judgement.plan().plan();
        let (source, target) = (plan.source(), plan.target());
        let user = Ids {
            source: &|row| source.user(row as usize).id(),
            target: &|row| target.user(row as usize).id(),
            present: &|row| {
                let user = source.user(row as usize);
                !user.address().is_empty() || user.unknown().contains(Field::Email)
            },
        };
        let group = Ids {
            source: &|row| source.group(row as usize).id(),
            target: &|row| target.group(row as usize).id(),
            present: &|_| true,
        };
        // Only a run that nothing held is compared with by the next, and forgets bindings without an object on either
        // side.
        let unheld = judgement.baseline().filter(|_| now.is_some());
        let forgets = unheld.is_some();
        Self {
            users: next_bindings(&self.users, &plan.users, &user, users, now, forgets),
            groups: next_bindings(&self.groups, &plan.groups, &group, groups, now, forgets),
            baseline: unheld.or(self.baseline),
            seen: if forgets { plan.seen } else { self.seen },
            // Claims are saved before the run is over, which is not yet the last one then.
            server: if now.is_some() { plan.server.clone() } else { self.server.clone() },
            is_new: false,
        }
    }
}

/// How to read the rows of one kind.
struct Ids<'f> {
    source: &'f dyn Fn(u32) -> &'f str,
    target: &'f dyn Fn(u32) -> &'f str,
    /// Whether the object of the source counts as present: people need an address.
    present: &'f dyn Fn(u32) -> bool,
}

fn next_bindings(
    old: &Bindings,
    matches: &Matches,
    ids: &Ids<'_>,
    changes: &Changes,
    now: Option<Timestamp>,
    forgets: bool,
) -> Bindings {
    let mut next = Bindings::with_capacity(old.len() + changes.bound.len());
    let mut add = |source: &str, target: Option<&str>, missing: bool| {
        if changes.removed.contains(source) {
            return;
        }
        let mut times = old.find(source).map(|position| old.times(position)).unwrap_or_default();
        if let Some(now) = now {
            times.missing_since = if missing { times.missing_since.or(Some(now)) } else { None };
            if changes.suspended.contains(source) {
                times.suspended_at = Some(now);
            } else if changes.restored.contains(source) {
                times.suspended_at = None;
            }
        }
        let target = match changes.bound.get(source) {
            Some(bound) => bound.as_deref().or(target),
            None => target,
        };
        let remembered = old.find(source).and_then(|position| old.password(position));
        let password = changes.passwords.get(source).copied().or(remembered);
        if next.insert(source, target, times)
            && let Some(password) = password
        {
            next.remember_password(source, password);
        }
    };
    let mut unmatched = HashSet::new();
    for (source, &target) in (0_u32..).zip(&matches.target_of) {
        let id = (ids.source)(source);
        if target != NO_ROW && matches.standing(target) == Standing::Managed {
            add(id, Some((ids.target)(target)), !(ids.present)(source));
        } else if changes.bound.contains_key(id) {
            add(id, None, false);
        } else {
            unmatched.insert(id);
        }
    }
    for &(target, position) in &matches.missing {
        add(&old.at(position).source, Some((ids.target)(target)), true);
    }
    // What is left has no object in the target that is known to be its own.
    for position in 0..old.len() {
        let binding = old.at(position);
        if !forgets || unmatched.contains(binding.source.as_str()) {
            add(&binding.source, binding.target.as_deref(), false);
        }
    }
    next
}
