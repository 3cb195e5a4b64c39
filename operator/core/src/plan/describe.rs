//! Operations in words.

use super::{Plan, groups, order, users};
use crate::capabilities::Field;
use crate::operation::{Kind, NO_ROW, Operation, Reason, Verb};
use crate::snapshot::{Group, Member, MemberKind, User};

/// One field that changes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// Which field.
    pub field: Field,
    /// What the target holds; empty where it holds nothing.
    pub from: String,
    /// What it will hold.
    pub to: String,
}

/// One operation in words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Described {
    /// What is done.
    pub verb: Verb,
    /// Why.
    pub reason: Reason,
    /// Id of the object: the target's where it exists there, else the source's.
    pub id: String,
    /// Its primary address; empty where it has none.
    pub address: String,
    /// Its name as shown.
    pub name: String,
    /// What changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The alias that is added or removed, or the member.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub item: String,
}

impl Described {
    /// The address, or the name where there is none.
    pub fn subject(&self) -> &str {
        [&self.address, &self.name].into_iter().find(|text| !text.is_empty()).unwrap_or(&self.id)
    }

    /// What changes in one line: fields with old and new values, or the alias or member.
    pub fn detail(&self) -> String {
        if !self.item.is_empty() {
            return self.item.clone();
        }
        let change = |change: &Change| format!("{}: {:?} → {:?}", change.field, change.from, change.to);
        self.changes.iter().map(change).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn describe(plan: &Plan<'_>, operation: Operation) -> Described {
    match operation.verb.kind() {
        Kind::User | Kind::Alias => {
            let source = (operation.source != NO_ROW).then(|| plan.source.user(operation.source as usize));
            let target = (operation.target != NO_ROW).then(|| plan.target.user(operation.target as usize));
            let shown = target.or(source);
            let is_alias = operation.verb.kind() == Kind::Alias;
            let value =
                |user: Option<User<'_>>, field| user.map(|user| user_value(plan, user, field)).unwrap_or_default();
            Described {
                verb: operation.verb,
                reason: operation.reason,
                id: shown.map(User::id).unwrap_or_default().to_owned(),
                address: shown.map(User::address).unwrap_or_default().to_owned(),
                name: shown.map(User::display_name).unwrap_or_default().to_owned(),
                changes: if is_alias {
                    Vec::new()
                } else {
                    let from = |field| match field {
                        Field::ExternalId => target.map(|user| user.external_id().to_owned()).unwrap_or_default(),
                        field => value(target, field),
                    };
                    changes(operation, from, |field| match field {
                        Field::ExternalId => source.map(|user| user.id().to_owned()).unwrap_or_default(),
                        field => value(source, field),
                    })
                },
                item: if is_alias {
                    order::alias(&operation, plan.source, plan.target).to_owned()
                } else {
                    String::new()
                },
            }
        }
        Kind::Group | Kind::Membership => {
            let source = (operation.source != NO_ROW).then(|| plan.source.group(operation.source as usize));
            let target = (operation.target != NO_ROW).then(|| plan.target.group(operation.target as usize));
            let shown = target.or(source);
            let is_member = operation.verb.kind() == Kind::Membership;
            Described {
                verb: operation.verb,
                reason: operation.reason,
                id: shown.map(Group::id).unwrap_or_default().to_owned(),
                address: shown.map(Group::address).unwrap_or_default().to_owned(),
                name: shown.map(Group::name).unwrap_or_default().to_owned(),
                changes: if is_member {
                    Vec::new()
                } else {
                    let from = |field| match field {
                        Field::ExternalId => target.map(|group| group.external_id().to_owned()).unwrap_or_default(),
                        field => target.map(|group| group_value(group, field)).unwrap_or_default(),
                    };
                    changes(operation, from, |field| match field {
                        Field::ExternalId => source.map(|group| group.id().to_owned()).unwrap_or_default(),
                        field => source.map(|group| group_value(group, field)).unwrap_or_default(),
                    })
                },
                item: if is_member { member(plan, operation) } else { String::new() },
            }
        }
    }
}

fn changes(operation: Operation, from: impl Fn(Field) -> String, to: impl Fn(Field) -> String) -> Vec<Change> {
    let changes = operation.fields.iter().map(|field| Change { field, from: from(field), to: to(field) });
    changes.filter(|change| change.from != change.to).collect()
}

fn user_value(plan: &Plan<'_>, user: User<'_>, field: Field) -> String {
    match field {
        Field::Email => user.address().to_owned(),
        Field::GivenName => user.given_name().to_owned(),
        Field::FamilyName => user.family_name().to_owned(),
        Field::DisplayName => user.display_name().to_owned(),
        Field::OrgUnit => user.org_unit().to_owned(),
        Field::Active => user.active().to_string(),
        Field::Aliases => user.aliases().collect::<Vec<_>>().join(", "),
        Field::Password => user.password().map(|it| format!("(hidden, {})", it.scheme())).unwrap_or_default(),
        Field::Attributes => {
            let known = user.attributes().filter(|(name, _)| plan.capabilities.attributes.contains(*name));
            known.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

fn group_value(group: Group<'_>, field: Field) -> String {
    match field {
        Field::Email => group.address(),
        Field::Name => group.name(),
        Field::Description => group.description(),
        _ => "",
    }
    .to_owned()
}

fn member(plan: &Plan<'_>, operation: Operation) -> String {
    let (snapshot, raw) = if operation.member_source == NO_ROW {
        (plan.target, operation.member_target)
    } else {
        (plan.source, operation.member_source)
    };
    match Member::from_raw(raw).kind() {
        MemberKind::User(row) => users::label(snapshot.user(row)),
        MemberKind::Group(row) => groups::label(snapshot.group(row)),
    }
    .to_owned()
}
