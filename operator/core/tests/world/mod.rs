//! A small directory and a small service to plan between, as plain data.

#![allow(dead_code, reason = "every test crate uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use directory_sync_core::address;
use directory_sync_core::applied::{Answer, Applied, Outcome};
use directory_sync_core::capabilities::{Capabilities, Field, Fields};
use directory_sync_core::confirm::{self, ConfirmedPlan, Finding, Lookup};
use directory_sync_core::gate::{Approval, Approved, ApprovedOperation};
use directory_sync_core::operation::Verb;
use directory_sync_core::password::{Password, PasswordScheme, UnusablePassword};
use directory_sync_core::plan::{self, Plan};
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, Side, SourceSide, TargetSide};
use directory_sync_core::rules::Rules;
use directory_sync_core::snapshot::{GroupRecord, MemberKind, UserRecord};
use directory_sync_core::state::State;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// One person of either side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) mark: String,
    pub(crate) address: String,
    pub(crate) aliases: BTreeSet<String>,
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) active: bool,
    /// What a source cannot tell of this person.
    pub(crate) unknown: Fields,
    /// Of a source: a value of `userPassword`. Of a target: what was last set, which it tells nobody.
    pub(crate) password: String,
}

/// One group of either side; members by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Team {
    pub(crate) id: String,
    pub(crate) mark: String,
    pub(crate) name: String,
    pub(crate) members: BTreeSet<String>,
    pub(crate) unknown: bool,
    /// What a source cannot tell of this group.
    pub(crate) unknown_fields: Fields,
}

/// One side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) people: Vec<Person>,
    pub(crate) teams: Vec<Team>,
    created: u32,
}

/// A person of the source, active, with an address made of the id.
pub(crate) fn person(id: &str) -> Person {
    Person {
        id: id.to_owned(),
        address: format!("{id}@example.com"),
        name: id.to_uppercase(),
        active: true,
        ..Person::default()
    }
}

/// A group of the source.
pub(crate) fn team(id: &str, members: &[&str]) -> Team {
    Team {
        id: id.to_owned(),
        name: format!("Team {id}"),
        members: members.iter().map(|&member| member.to_owned()).collect(),
        ..Team::default()
    }
}

pub(crate) fn world(people: Vec<Person>, teams: Vec<Team>) -> World {
    World { people, teams, created: 0 }
}

/// What the model of a target can hold: everything but addresses of groups.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        target: "model".to_owned(),
        user_fields: Fields::of(Field::ALL),
        group_fields: Fields::of([Field::ExternalId, Field::Name, Field::Members]),
        attributes: BTreeSet::new(),
        passwords: BTreeSet::from([PasswordScheme::Clear, PasswordScheme::Sha1]),
        nested_groups: true,
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

impl World {
    pub(crate) fn read<S: Side>(&self) -> CompleteRead<S> {
        let mut read = Read::<S>::start(ReadCaps::default());
        let section = read.open("everything");
        for person in &self.people {
            let reference = read.referencer().reference(person.id.as_bytes());
            let record = UserRecord {
                id: person.id.clone(),
                external_id: person.mark.clone(),
                address: person.address.clone(),
                aliases: person.aliases.iter().cloned().collect(),
                display_name: person.name.clone(),
                org_unit: person.unit.clone(),
                active: person.active,
                unknown: person.unknown,
                password: if person.mark.is_empty() { password(&person.password) } else { None },
                ..UserRecord::default()
            };
            // Two entries with one id are two entries, as long as their names differ.
            read.user(section, reference, &record).unwrap();
        }
        for team in &self.teams {
            let reference = read.referencer().reference(team.id.as_bytes());
            let record = GroupRecord {
                id: team.id.clone(),
                external_id: team.mark.clone(),
                name: team.name.clone(),
                unknown: team.unknown_fields,
                ..GroupRecord::default()
            };
            let row = read.group(section, reference, &record).unwrap();
            for member in &team.members {
                let member = read.referencer().reference(member.as_bytes());
                read.member(section, row, member).unwrap();
            }
            if team.unknown {
                read.members_unknown(row);
            }
        }
        read.page(section, Next::End).unwrap();
        read.finish().unwrap()
    }

    pub(crate) fn source(&self) -> CompleteRead<SourceSide> {
        self.read()
    }

    pub(crate) fn target(&self) -> CompleteRead<TargetSide> {
        self.read()
    }

    /// Answers look-ups as a healthy directory does.
    pub(crate) fn find(&self, lookups: &[Lookup], read: &CompleteRead<SourceSide>) -> Vec<Finding> {
        let referencer = read.snapshot().referencer();
        let find = |lookup: &Lookup| match lookup {
            Lookup::User { id } => match self.people.iter().find(|person| person.id == *id) {
                None => Finding::Gone,
                Some(person) if person.unknown.contains(Field::Email) => {
                    Finding::Unreadable { message: "the address cannot be told".to_owned() }
                }
                Some(person) if person.address.is_empty() => Finding::LostAddress,
                Some(person) if !person.active => Finding::Disabled,
                Some(_) => Finding::StillThere { members: None },
            },
            Lookup::Group { id } => match self.teams.iter().find(|team| team.id == *id) {
                None => Finding::Gone,
                Some(team) => Finding::StillThere {
                    members: Some(team.members.iter().map(|id| referencer.reference(id.as_bytes())).collect()),
                },
            },
        };
        lookups.iter().map(find).collect()
    }

    fn person(&mut self, id: &str) -> Option<&mut Person> {
        self.people.iter_mut().find(|person| person.id == id)
    }

    fn team(&mut self, id: &str) -> Option<&mut Team> {
        self.teams.iter_mut().find(|team| team.id == id)
    }

    fn by_mark(&self, mark: &str) -> Option<String> {
        let person = self.people.iter().find(|person| person.mark == mark).map(|person| person.id.clone());
        person.or_else(|| self.teams.iter().find(|team| team.mark == mark).map(|team| team.id.clone()))
    }

    /// As services do, the model has every primary address once, at every moment.
    fn assert_free(&self, address: &str, except: &str) {
        let holder = self.people.iter().find(|person| person.id != except && address::same(&person.address, address));
        assert!(holder.is_none(), "{address} is asked for while {holder:?} has it");
    }

    fn new_id(&mut self) -> String {
        self.created += 1;
        format!("t{}", self.created)
    }

    /// Whether everything that the operation needs is there: what it should have been created by may have failed.
    pub(crate) fn is_possible(&self, operation: &ApprovedOperation<'_>) -> bool {
        if !matches!(operation.verb(), Verb::AddMember | Verb::RemoveMember) {
            return true;
        }
        let source = operation.source();
        let has_member = operation.target_member().is_some()
            || match operation.source_member() {
                Some(MemberKind::User(row)) => self.by_mark(source.user(row).id()).is_some(),
                Some(MemberKind::Group(row)) => self.by_mark(source.group(row).id()).is_some(),
                None => false,
            };
        let has_group = operation.target_group().is_some()
            || operation.source_group().is_some_and(|group| self.by_mark(group.id()).is_some());
        has_member && has_group
    }

    /// Does what a service does.
    pub(crate) fn send(&mut self, operation: ApprovedOperation<'_>) -> Outcome {
        let target_id = self.change(&operation);
        operation.answered(Answer::Done { target_id })
    }

    fn change(&mut self, operation: &ApprovedOperation<'_>) -> Option<String> {
        let fields = operation.fields();
        match operation.verb() {
            Verb::CreateUser => {
                let user = operation.source_user().unwrap();
                self.assert_free(user.address(), "");
                let id = self.new_id();
                self.people.push(Person {
                    id: id.clone(),
                    mark: user.id().to_owned(),
                    address: user.address().to_owned(),
                    aliases: user.aliases().map(str::to_owned).collect(),
                    name: user.display_name().to_owned(),
                    unit: user.org_unit().to_owned(),
                    active: true,
                    unknown: Fields::NONE,
                    password: set_password(operation).unwrap_or_default(),
                });
                return Some(id);
            }
            Verb::CreateGroup => {
                let group = operation.source_group().unwrap();
                let id = self.new_id();
                self.teams.push(Team {
                    id: id.clone(),
                    mark: group.id().to_owned(),
                    name: group.name().to_owned(),
                    ..Team::default()
                });
                return Some(id);
            }
            Verb::AdoptUser | Verb::UpdateUser | Verb::MoveUser => {
                let (from, to) = (operation.source_user().unwrap(), operation.target_user().unwrap());
                let password = set_password(operation);
                if fields.contains(Field::Email) {
                    self.assert_free(from.address(), to.id());
                }
                let person = self.person(to.id()).unwrap();
                for field in fields.iter() {
                    match field {
                        Field::Password => person.password.clone_from(password.as_ref().unwrap()),
                        Field::ExternalId => from.id().clone_into(&mut person.mark),
                        Field::Email => from.address().clone_into(&mut person.address),
                        Field::DisplayName => from.display_name().clone_into(&mut person.name),
                        Field::OrgUnit => from.org_unit().clone_into(&mut person.unit),
                        other => panic!("{other} is not in the model"),
                    }
                }
            }
            Verb::AdoptGroup | Verb::UpdateGroup => {
                let (from, to) = (operation.source_group().unwrap(), operation.target_group().unwrap());
                let team = self.team(to.id()).unwrap();
                from.id().clone_into(&mut team.mark);
                from.name().clone_into(&mut team.name);
            }
            Verb::RestoreUser => self.person(operation.target_user().unwrap().id()).unwrap().active = true,
            Verb::SuspendUser => self.person(operation.target_user().unwrap().id()).unwrap().active = false,
            Verb::AddAlias => {
                let alias = operation.alias().unwrap().to_owned();
                self.assert_free(&alias, operation.target_user().unwrap().id());
                self.person(operation.target_user().unwrap().id()).unwrap().aliases.insert(alias);
            }
            Verb::RemoveAlias => {
                let alias = operation.alias().unwrap();
                self.person(operation.target_user().unwrap().id()).unwrap().aliases.remove(alias);
            }
            Verb::AddMember | Verb::RemoveMember => self.membership(operation),
            Verb::DeleteUser => {
                let id = operation.target_user().unwrap().id();
                self.people.retain(|person| person.id != id);
                for team in &mut self.teams {
                    team.members.remove(id);
                }
            }
            Verb::DeleteGroup => {
                let id = operation.target_group().unwrap().id();
                self.teams.retain(|team| team.id != id);
                for team in &mut self.teams {
                    team.members.remove(id);
                }
            }
        }
        None
    }

    fn membership(&mut self, operation: &ApprovedOperation<'_>) {
        let member = match operation.target_member() {
            Some(MemberKind::User(row)) => operation.target().user(row).id().to_owned(),
            Some(MemberKind::Group(row)) => operation.target().group(row).id().to_owned(),
            None => match operation.source_member().unwrap() {
                MemberKind::User(row) => self.by_mark(operation.source().user(row).id()).unwrap(),
                MemberKind::Group(row) => self.by_mark(operation.source().group(row).id()).unwrap(),
            },
        };
        let group = match operation.target_group() {
            Some(group) => group.id().to_owned(),
            None => self.by_mark(operation.source_group().unwrap().id()).unwrap(),
        };
        let team = self.team(&group).unwrap();
        if operation.verb() == Verb::AddMember {
            assert!(team.members.insert(member), "a member is added who is there");
        } else {
            assert!(team.members.remove(&member), "a member is removed who is not there");
        }
    }

    /// Does all of it.
    pub(crate) fn apply(&mut self, approved: Approved<'_>) -> Applied {
        Applied::of(approved.into_operations().map(|operation| self.send(operation)).collect())
    }
}

fn password(text: &str) -> Option<Result<Password, UnusablePassword>> {
    (!text.is_empty()).then(|| Password::parse(text.as_bytes()))
}

/// The password that an operation sets.
fn set_password(operation: &ApprovedOperation<'_>) -> Option<String> {
    let password = operation.source_user()?.password().filter(|_| operation.fields().contains(Field::Password));
    password.map(|password| password.expose().to_owned())
}

/// Plans with everything at its default.
pub(crate) fn plan<'w>(
    source: &'w CompleteRead<SourceSide>,
    target: &'w CompleteRead<TargetSide>,
    rules: &Rules,
    state: &State,
) -> Plan<'w> {
    plan::plan(source, target, rules, &capabilities(), state, at(0))
}

/// Confirms with a healthy directory.
pub(crate) fn confirm<'w>(plan: Plan<'w>, source: &World, read: &CompleteRead<SourceSide>) -> ConfirmedPlan<'w> {
    let lookups = confirm::lookups(&plan, 10_000);
    let findings = source.find(lookups.as_slice(), read);
    confirm::confirm(plan, lookups, findings)
}

/// Rules that send everything.
pub(crate) fn open_rules() -> Rules {
    Rules {
        apply: true,
        limits: directory_sync_core::rules::Limits {
            source_shrink: directory_sync_core::rules::ShrinkLimit { percent: 100, min_population: 0 },
            ..directory_sync_core::rules::Limits::default()
        },
        ..Rules::default()
    }
}

/// One whole run with a healthy directory and service. Returns what was done.
pub(crate) fn run(source: &World, target: &mut World, rules: &Rules, state: &mut State, second: i64) -> Vec<Verb> {
    run_approved(source, target, rules, state, second, None)
}

/// The same, with an approval.
pub(crate) fn run_approved(
    source: &World,
    target: &mut World,
    rules: &Rules,
    state: &mut State,
    second: i64,
    approval: Option<&Approval>,
) -> Vec<Verb> {
    let (from, to) = (source.source(), target.target());
    let plan = plan::plan(&from, &to, rules, &capabilities(), state, at(second));
    let confirmed = confirm(plan, source, &from);
    let mut judgement = directory_sync_core::gate::judge(confirmed, rules, state, approval, at(second));
    let approved = judgement.take_approved();
    let applied = target.apply(approved);
    *state = state.after(&judgement, &applied, at(second));
    applied.outcomes().iter().map(Outcome::verb).collect()
}
