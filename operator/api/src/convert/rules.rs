//! The rules of a resource as the plan and the gate read them.

use directory_sync_core::rules as core;

use super::{ConvertError, Principals, mapping::managed, positive_duration};
use crate::{
    limits::{Limit, LimitsSpec, OnExceeded},
    removal::{Removal, RemovalPolicy},
    sync::{Adoption, ApprovalMode, DirectorySyncSpec},
};

/// Everything the plan and the gate go by.
///
/// # Errors
/// If a field of the mapping, a duration or a number cannot be used.
pub fn rules(spec: &DirectorySyncSpec, principals: Principals) -> Result<core::Rules, ConvertError> {
    let Principals { exclude_source, exclude_target, protect } = principals;
    Ok(core::Rules {
        managed: managed(spec)?,
        // It lies in a Secret, which whoever connects looks up.
        password_key: None,
        exclude_source,
        exclude_target,
        protect,
        adoption: match spec.adoption {
            Adoption::None => core::Adoption::None,
            Adoption::ByExternalId => core::Adoption::ByExternalId,
            Adoption::ByAddress => core::Adoption::ByAddress,
        },
        removal: removal(&spec.removal)?,
        limits: limits(&spec.limits)?,
        approval: match spec.approval {
            ApprovalMode::Automatic => core::ApprovalMode::Automatic,
            ApprovalMode::Manual => core::ApprovalMode::Manual,
        },
        apply: spec.apply,
        accepted_domains: spec.domains.clone(),
    })
}

/// How much one run may change.
///
/// # Errors
/// If a number is out of its bounds.
pub fn limits(spec: &LimitsSpec) -> Result<core::Limits, ConvertError> {
    let LimitsSpec { users, groups, aliases, memberships, source_shrink, on_exceeded } = spec;
    Ok(core::Limits {
        users: core::KindLimits {
            creates: limit("users.creates", Some(&users.creates))?,
            updates: limit("users.updates", users.updates.as_ref())?,
            removals: limit("users.removals", Some(&users.removals))?,
        },
        groups: core::KindLimits {
            creates: limit("groups.creates", Some(&groups.creates))?,
            updates: limit("groups.updates", groups.updates.as_ref())?,
            removals: limit("groups.removals", Some(&groups.removals))?,
        },
        aliases: core::KindLimits {
            removals: limit("aliases.removals", Some(&aliases.removals))?,
            ..core::KindLimits::default()
        },
        memberships: core::KindLimits {
            creates: limit("memberships.creates", memberships.creates.as_ref())?,
            removals: limit("memberships.removals", Some(&memberships.removals))?,
            ..core::KindLimits::default()
        },
        source_shrink: core::ShrinkLimit {
            percent: percent("sourceShrink.percent", source_shrink.percent)?,
            min_population: count("sourceShrink.minPopulation", source_shrink.min_population)?,
        },
        on_exceeded: match on_exceeded {
            OnExceeded::HoldAll => core::OnExceeded::HoldAll,
            OnExceeded::HoldRemovals => core::OnExceeded::HoldRemovals,
        },
    })
}

fn removal(spec: &Removal) -> Result<core::Removal, ConvertError> {
    const PATH: &str = "spec.removal.deleteAfter";
    let contradiction = |sentence| Err(ConvertError::Contradiction { path: PATH.into(), sentence });
    match (spec.policy, &spec.delete_after) {
        (RemovalPolicy::Keep, None) => Ok(core::Removal::Keep),
        (RemovalPolicy::Delete, None) => Ok(core::Removal::Delete),
        (RemovalPolicy::Suspend, delete_after) => Ok(core::Removal::Suspend {
            delete_after: delete_after.as_ref().map(|text| positive_duration(PATH, text)).transpose()?,
        }),
        (RemovalPolicy::Keep, Some(_)) => {
            contradiction("policy: Keep suspends nobody; write policy: Suspend, or remove deleteAfter")
        }
        (RemovalPolicy::Delete, Some(_)) => {
            contradiction("policy: Delete deletes at once; write policy: Suspend, or remove deleteAfter")
        }
    }
}

fn limit(path: &str, limit: Option<&Limit>) -> Result<core::Limit, ConvertError> {
    let Some(limit) = limit else { return Ok(core::Limit::default()) };
    Ok(core::Limit {
        max: limit.max.map(|max| count(&format!("{path}.max"), max)).transpose()?,
        percent: limit.percent.map(|share| percent(&format!("{path}.percent"), share)).transpose()?,
        min_population: count(&format!("{path}.minPopulation"), limit.min_population.unwrap_or_default())?,
    })
}

fn count(path: &str, number: i64) -> Result<u64, ConvertError> {
    u64::try_from(number).map_err(|_| out_of_bounds(path, number, u64::MAX))
}

fn percent(path: &str, number: i32) -> Result<u8, ConvertError> {
    u8::try_from(number).ok().filter(|&share| share <= 100).ok_or_else(|| out_of_bounds(path, number.into(), 100))
}

fn out_of_bounds(path: &str, number: i64, most: u64) -> ConvertError {
    ConvertError::OutOfBounds { path: format!("spec.limits.{path}"), number, most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_on_by_default() {
        let limits = limits(&LimitsSpec::default()).unwrap();
        assert_eq!(limits.users.removals, core::Limit { max: Some(50), percent: Some(5), min_population: 20 });
        assert_eq!(limits.source_shrink.percent, 10);
        assert_eq!(limits.on_exceeded, core::OnExceeded::HoldAll);
    }

    #[test]
    fn an_unlimited_kind_has_no_limit() {
        assert_eq!(limits(&LimitsSpec::default()).unwrap().users.updates, core::Limit::default());
    }

    #[test]
    fn a_number_out_of_bounds_is_named_with_its_field() {
        let mut spec = LimitsSpec::default();
        spec.users.removals.percent = Some(101);
        let error = limits(&spec).unwrap_err().to_string();
        assert_eq!(error, "spec.limits.users.removals.percent: 101 is out of bounds; write a number from 0 to 100");
        spec.users.removals.percent = Some(-1);
        assert!(limits(&spec).is_err());
    }

    #[test]
    fn who_is_kept_is_never_deleted_later() {
        let spec = Removal { policy: RemovalPolicy::Keep, delete_after: Some("720h".into()) };
        assert!(matches!(removal(&spec), Err(ConvertError::Contradiction { .. })));
    }

    #[test]
    fn whoever_leaves_is_suspended_by_default_and_never_deleted() {
        assert_eq!(removal(&Removal::default()), Ok(core::Removal::Suspend { delete_after: None }));
    }
}
