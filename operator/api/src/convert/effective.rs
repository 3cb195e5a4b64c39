//! What is in force, as the status echoes it: taken from the rules that the plan was judged by, the same that the stored
//! plan tells.

use directory_sync_core::plan::document;
use directory_sync_core::rules as core;

use crate::{
    limits::{AliasLimits, GroupLimits, Limit, LimitsSpec, MembershipLimits, OnExceeded, SourceShrink, UserLimits},
    mapping::{FieldSource, GroupMapping, UserMapping},
    removal::RemovalPolicy,
    status::EffectiveRules,
    sync::{Adoption, ApprovalMode, DirectorySyncSpec},
};

impl EffectiveRules {
    /// The rules as the operator understood them, with the fields that the mapping of this spec fills. What a client
    /// dropped on the way is missing here.
    pub fn of(spec: &DirectorySyncSpec, rules: &core::Rules) -> Self {
        let document::EffectiveRules { exclusions, protected, limits, adoption, removal, approval, apply, domains } =
            document::EffectiveRules::of(rules);
        let (removal, delete_after) = match removal {
            core::Removal::Keep => (RemovalPolicy::Keep, None),
            core::Removal::Suspend { delete_after } => (RemovalPolicy::Suspend, delete_after),
            core::Removal::Delete => (RemovalPolicy::Delete, None),
        };
        Self {
            exclusions: count(exclusions),
            protected: count(protected),
            domains,
            fields: fields(spec),
            limits: limits_of(&limits),
            removal,
            delete_after: delete_after.map(|after| format!("{after:#}")),
            adoption: match adoption {
                core::Adoption::None => Adoption::None,
                core::Adoption::ByExternalId => Adoption::ByExternalId,
                core::Adoption::ByAddress => Adoption::ByAddress,
            },
            approval: match approval {
                core::ApprovalMode::Automatic => ApprovalMode::Automatic,
                core::ApprovalMode::Manual => ApprovalMode::Manual,
            },
            apply,
        }
    }
}

fn limits_of(limits: &core::Limits) -> LimitsSpec {
    let core::Limits { users, groups, aliases, memberships, source_shrink, on_exceeded } = limits;
    LimitsSpec {
        users: UserLimits {
            creates: limit(users.creates),
            updates: optional(users.updates),
            removals: limit(users.removals),
        },
        groups: GroupLimits {
            creates: limit(groups.creates),
            updates: optional(groups.updates),
            removals: limit(groups.removals),
        },
        aliases: AliasLimits { removals: limit(aliases.removals) },
        memberships: MembershipLimits { creates: optional(memberships.creates), removals: limit(memberships.removals) },
        source_shrink: SourceShrink {
            percent: source_shrink.percent.into(),
            min_population: number(source_shrink.min_population),
        },
        on_exceeded: match on_exceeded {
            core::OnExceeded::HoldAll => OnExceeded::HoldAll,
            core::OnExceeded::HoldRemovals => OnExceeded::HoldRemovals,
        },
    }
}

fn limit(limit: core::Limit) -> Limit {
    let min_population = Some(limit.min_population).filter(|_| limit.percent.is_some() && limit.min_population > 0);
    Limit {
        max: limit.max.map(number),
        percent: limit.percent.map(i32::from),
        min_population: min_population.map(number),
    }
}

/// A limit that may be left out.
fn optional(of: core::Limit) -> Option<Limit> {
    (of.max.is_some() || of.percent.is_some()).then(|| limit(of))
}

/// The fields that the mapping fills, as they are named in it.
fn fields(spec: &DirectorySyncSpec) -> Vec<String> {
    let mapping = spec.effective_mapping();
    let mut fields = user_fields(&mapping.user.unwrap_or_default());
    // Without a search for groups none is managed.
    let of_google = spec.source.google.as_ref().is_some_and(|google| google.groups.is_some());
    if of_google || spec.source.ldap.as_ref().is_some_and(|ldap| !ldap.groups.is_empty()) {
        fields.extend(group_fields(&mapping.group.unwrap_or_default()));
    }
    fields
}

fn user_fields(user: &UserMapping) -> Vec<String> {
    let attributes = user.attributes.iter().map(|attribute| format!("user.attributes.{}", attribute.name));
    let fields = [
        ("user.id", &user.id),
        ("user.email", &user.email),
        ("user.aliases", &user.aliases),
        ("user.givenName", &user.given_name),
        ("user.familyName", &user.family_name),
        ("user.displayName", &user.display_name),
        ("user.orgUnit", &user.org_unit),
        ("user.active", &user.active),
    ];
    let password = user.password.as_ref().map(|_| "user.password".to_owned());
    mapped(&fields).chain(attributes).chain(password).collect()
}

fn group_fields(group: &GroupMapping) -> Vec<String> {
    let fields = [
        ("group.id", &group.id),
        ("group.email", &group.email),
        ("group.name", &group.name),
        ("group.description", &group.description),
        ("group.members", &group.members),
    ];
    mapped(&fields).collect()
}

fn mapped(fields: &[(&str, &Option<FieldSource>)]) -> impl Iterator<Item = String> {
    fields.iter().filter(|(_, source)| source.is_some()).map(|(name, _)| (*name).to_owned())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
