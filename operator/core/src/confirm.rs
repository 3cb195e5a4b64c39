//! Confirmation of removals: what has to be looked up in the source, and what was found.

use crate::operation::{NO_ROW, Operation, Reason, Verb};
use crate::plan::{Digest, PlanCounts};
use crate::plan::{Plan, Summary, WarningKind, Warnings, digest};
use crate::snapshot::{Member, MemberKind, Reference, Snapshot};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

/// Something to be looked up in the source, by immutable id and without the filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// A person who is about to be suspended or deleted.
    User {
        /// Immutable id in the source.
        id: String,
    },
    /// A group that is about to be deleted or to lose members.
    Group {
        /// Immutable id in the source.
        id: String,
    },
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// No entry has this id.
    Gone,
    /// The entry lies outside the configured base DNs.
    MovedOutOfScope,
    /// The entry is below a base DN, but its filter does not select it.
    NoLongerMatches,
    /// The entry has no value for the address.
    LostAddress,
    /// The person is inactive.
    Disabled,
    /// The entry is there, selected, and (if a person) active and with an address.
    StillThere {
        /// Of a group: the references of its members now, made with the referencer of the read. `None` if they could
        /// not be read whole, or for people.
        members: Option<HashSet<Reference>>,
    },
    /// The source could not say.
    Unreadable {
        /// One sentence: why not.
        message: String,
    },
}

/// What has to be looked up before a plan's removals are confirmed.
#[derive(Debug, Default)]
pub struct Lookups {
    lookups: Vec<Lookup>,
}

impl Lookups {
    /// What to look up, in this order.
    pub fn as_slice(&self) -> &[Lookup] {
        &self.lookups
    }

    /// Whether nothing has to be looked up.
    pub fn is_empty(&self) -> bool {
        self.lookups.is_empty()
    }
}

/// The look-up that an operation needs, if it needs one.
fn lookup(plan: &Plan<'_>, operation: &Operation) -> Option<Lookup> {
    let (source, target) = (operation.source, operation.target);
    match operation.verb {
        Verb::SuspendUser | Verb::DeleteUser if source != NO_ROW => {
            Some(Lookup::User { id: plan.source.user(source as usize).id().to_owned() })
        }
        Verb::SuspendUser | Verb::DeleteUser => Some(Lookup::User { id: plan.missing_user(target) }),
        Verb::RemoveMember => Some(Lookup::Group { id: plan.source.group(source as usize).id().to_owned() }),
        Verb::DeleteGroup => Some(Lookup::Group { id: plan.missing_group(target) }),
        _ => None,
    }
}

/// What has to be looked up, each once, and no more than `bound`: what exceeds it stays unconfirmed and waits.
pub fn lookups(plan: &Plan<'_>, bound: usize) -> Lookups {
    let mut seen = HashSet::new();
    let wanted = plan.operations.iter().flat_map(|operation| {
        // Who is to leave a group may have been in it through groups within it.
        let nested = match operation.verb {
            Verb::RemoveMember => nested_groups(plan, operation.source),
            _ => Vec::new(),
        };
        lookup(plan, operation).into_iter().chain(nested)
    });
    Lookups { lookups: wanted.filter(|lookup| seen.insert(lookup.clone())).take(bound).collect() }
}

/// The groups whose people were made direct members of this one.
fn nested_groups(plan: &Plan<'_>, group: u32) -> Vec<Lookup> {
    let (mut seen, mut open) = (HashSet::from([group]), vec![group]);
    let mut nested = Vec::new();
    while let Some(row) = open.pop() {
        for &inner in plan.source.groups_flattened_into(row as usize) {
            if seen.insert(inner) {
                nested.push(Lookup::Group { id: plan.source.group(inner as usize).id().to_owned() });
                open.push(inner);
            }
        }
    }
    nested
}

/// A plan whose removals were looked up, or wait because they could not be. Made only by [`confirm`].
#[derive(Debug)]
pub struct ConfirmedPlan<'w> {
    plan: Plan<'w>,
    /// Why operations are unconfirmed, by position.
    unconfirmed: BTreeMap<u32, String>,
    digests: OnceLock<(Vec<Digest>, Digest)>,
}

/// Sets the findings against the plan: a finding becomes the reason of the removal; whoever is still there is dropped
/// from the plan with a warning; what could not be looked up waits.
pub fn confirm(mut plan: Plan<'_>, lookups: Lookups, findings: Vec<Finding>) -> ConfirmedPlan<'_> {
    let found: HashMap<Lookup, Finding> = lookups.lookups.into_iter().zip(findings).collect();
    let mut members = GroupsNow::new(&plan, &found);
    let mut unconfirmed = BTreeMap::new();
    let mut kept = Vec::with_capacity(plan.operations.len());
    for mut operation in std::mem::take(&mut plan.operations) {
        let verdict = match lookup(&plan, &operation) {
            None => Verdict::Confirmed(operation.reason),
            Some(lookup) => judge(&plan, &operation, found.get(&lookup), &mut members),
        };
        let verdict = match (verdict, &plan.other_server) {
            (Verdict::Confirmed(_), Some((last, now))) if operation.verb.is_removal() => Verdict::Unknown(format!(
                "the last read was of {last} and this one is of {now}, which may lag behind; the next read of {now} \
                 decides"
            )),
            (verdict, _) => verdict,
        };
        match verdict {
            Verdict::Confirmed(reason) => operation.reason = reason,
            Verdict::StillThere => {
                let subject = plan.describe(operation);
                plan.warnings.add(WarningKind::StillThere, operation.verb.kind(), subject.subject());
                continue;
            }
            Verdict::Unknown(why) => {
                if let Ok(position) = u32::try_from(kept.len()) {
                    unconfirmed.insert(position, why);
                }
            }
        }
        kept.push(operation);
    }
    plan.operations = kept;
    plan.warnings.sort();
    ConfirmedPlan { plan, unconfirmed, digests: OnceLock::new() }
}

enum Verdict {
    Confirmed(Reason),
    StillThere,
    Unknown(String),
}

fn judge(plan: &Plan<'_>, operation: &Operation, finding: Option<&Finding>, members: &mut GroupsNow<'_>) -> Verdict {
    let unknown = |why: &str| Verdict::Unknown(why.to_owned());
    let Some(finding) = finding else {
        return unknown("it was not looked up, because there are more removals than look-ups are allowed");
    };
    if let Finding::Unreadable { message } = finding {
        return Verdict::Unknown(message.clone());
    }
    match (operation.verb, finding) {
        (Verb::RemoveMember, Finding::StillThere { members: Some(direct) }) => {
            let reference = match Member::from_raw(operation.member_source).kind() {
                MemberKind::User(row) => plan.source.user(row).reference(),
                MemberKind::Group(row) => plan.source.group(row).reference(),
            };
            match reference {
                Some(reference) if direct.contains(&reference) => Verdict::StillThere,
                Some(reference) => members.within(operation.source, reference),
                None => unknown("the member has no name in the source to look for"),
            }
        }
        (Verb::RemoveMember, Finding::StillThere { members: None }) => {
            unknown("the members of the group could not be read again")
        }
        (Verb::RemoveMember, _) => unknown("the group changed while it was being read; the next run sees it as it is"),
        (_, Finding::Gone) => Verdict::Confirmed(Reason::GoneFromSource),
        (_, Finding::MovedOutOfScope) => Verdict::Confirmed(Reason::MovedOutOfScope),
        (_, Finding::NoLongerMatches) => Verdict::Confirmed(Reason::NoLongerMatches),
        (Verb::SuspendUser | Verb::DeleteUser, Finding::LostAddress) => Verdict::Confirmed(Reason::LostAddress),
        (Verb::SuspendUser, Finding::Disabled) => Verdict::Confirmed(Reason::DisabledInSource),
        _ => Verdict::StillThere,
    }
}

/// The members of groups now, with those of the groups within them where these were made direct members.
struct GroupsNow<'f> {
    source: &'f Snapshot,
    found: &'f HashMap<Lookup, Finding>,
    /// Rows of groups by the name by which groups refer to them.
    rows: HashMap<Reference, usize>,
    /// Everybody within a group, and why that may not be everybody.
    known: HashMap<u32, (HashSet<Reference>, Option<&'static str>)>,
}

impl<'f> GroupsNow<'f> {
    fn new(plan: &Plan<'f>, found: &'f HashMap<Lookup, Finding>) -> Self {
        let source = plan.source;
        let rows = if source.is_flattened() {
            source.groups().filter_map(|group| Some((group.reference()?, group.row()))).collect()
        } else {
            HashMap::new()
        };
        Self { source, found, rows, known: HashMap::new() }
    }

    /// What it means that somebody is no direct member of a group.
    fn within(&mut self, group: u32, member: Reference) -> Verdict {
        if self.rows.is_empty() {
            return Verdict::Confirmed(Reason::LeftGroup);
        }
        if !self.known.contains_key(&group) {
            let everybody = self.everybody(group);
            self.known.insert(group, everybody);
        }
        match self.known.get(&group) {
            Some((people, _)) if people.contains(&member) => Verdict::StillThere,
            Some((_, Some(why))) => Verdict::Unknown((*why).to_owned()),
            _ => Verdict::Confirmed(Reason::LeftGroup),
        }
    }

    fn everybody(&self, group: u32) -> (HashSet<Reference>, Option<&'static str>) {
        let (mut people, mut unknown) = (HashSet::new(), None);
        let (mut seen, mut open) = (HashSet::from([group as usize]), vec![group as usize]);
        while let Some(row) = open.pop() {
            match self.found.get(&Lookup::Group { id: self.source.group(row).id().to_owned() }) {
                Some(Finding::StillThere { members: Some(members) }) => {
                    let inner = members.iter().filter_map(|member| self.rows.get(member));
                    open.extend(inner.filter(|&&row| seen.insert(row)));
                    people.extend(members);
                }
                // A group that is gone or out of reach gives its people to no other.
                Some(
                    Finding::Gone
                    | Finding::MovedOutOfScope
                    | Finding::NoLongerMatches
                    | Finding::LostAddress
                    | Finding::Disabled,
                ) => {}
                Some(Finding::StillThere { members: None } | Finding::Unreadable { .. }) | None => {
                    unknown = Some("the members of a group within the group could not be read again");
                }
            }
        }
        (people, unknown)
    }
}

impl<'w> ConfirmedPlan<'w> {
    /// The plan with its confirmed reasons.
    pub fn plan(&self) -> &Plan<'w> {
        &self.plan
    }

    /// The operations, in sending order.
    pub fn operations(&self) -> &[Operation] {
        &self.plan.operations
    }

    /// What a person should know beside the operations.
    pub fn warnings(&self) -> &Warnings {
        &self.plan.warnings
    }

    /// How many changes of which kind.
    pub fn summary(&self) -> Summary {
        self.plan.summary()
    }

    /// What the plan was made from.
    pub fn counts(&self) -> PlanCounts {
        self.plan.counts
    }

    /// Why the operation at this position could not be confirmed; `None` if it was, or needs no confirmation.
    pub fn unconfirmed(&self, position: usize) -> Option<&str> {
        self.unconfirmed.get(&u32::try_from(position).ok()?).map(String::as_str)
    }

    /// The name of the plan by its content.
    pub fn digest(&self) -> Digest {
        self.digests().1
    }

    /// The names of the operations by their content, in the plan's order.
    pub fn operation_digests(&self) -> &[Digest] {
        &self.digests().0
    }

    fn digests(&self) -> &(Vec<Digest>, Digest) {
        self.digests.get_or_init(|| {
            let operations: Vec<_> =
                self.plan.operations.iter().map(|operation| digest::of_operation(&self.plan, operation)).collect();
            let plan = digest::of_plan(&self.plan.capabilities.target, &operations);
            (operations, plan)
        })
    }
}
