//! Who is left alone and who is protected, compiled.

use directory_sync_core::capabilities::Field;
use directory_sync_core::matcher::{MatcherError, MatcherSpec, Matchers, Subject, Test};
use directory_sync_core::operation::Kind;

use super::ConvertError;
use crate::{
    exclusion::{PrincipalKind, PrincipalMatch},
    sync::DirectorySyncSpec,
};

/// Who is left alone and who is protected, compiled from the lists of the spec.
///
/// Without them there are no rules: a list that cannot be read must not be taken for an empty one.
#[derive(Debug, Clone)]
pub struct Principals {
    /// From `spec.exclude.source`.
    pub exclude_source: Matchers,
    /// From `spec.exclude.target`.
    pub exclude_target: Matchers,
    /// From `spec.protect`.
    pub protect: Matchers,
}

/// The exclusions and protections of a resource.
///
/// # Errors
/// If one of them cannot be used; the message names its place in the list.
pub fn principals(spec: &DirectorySyncSpec) -> Result<Principals, ConvertError> {
    let exclude = spec.exclude.clone().unwrap_or_default();
    Ok(Principals {
        exclude_source: matchers("spec.exclude.source", &exclude.source)?,
        exclude_target: matchers("spec.exclude.target", &exclude.target)?,
        protect: matchers("spec.protect", &spec.protect)?,
    })
}

fn matchers(path: &str, rules: &[PrincipalMatch]) -> Result<Matchers, ConvertError> {
    let specs = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| matcher(&format!("{path}[{index}]"), rule))
        .collect::<Result<Vec<_>, _>>()?;
    Matchers::compile(&specs)
        .map_err(|error: MatcherError| ConvertError::Principal { path: path.to_owned(), message: error.to_string() })
}

fn matcher(path: &str, rule: &PrincipalMatch) -> Result<MatcherSpec, ConvertError> {
    let contradiction = |sentence| Err(ConvertError::Contradiction { path: path.to_owned(), sentence });
    let PrincipalMatch { kind, field, exact, glob, regex, cel } = rule.clone();
    let test = match (exact, glob, regex, cel) {
        (Some(value), None, None, None) => Test::Exact(value),
        (None, Some(glob), None, None) => Test::Glob(glob),
        (None, None, Some(regex), None) => Test::Regex(regex),
        (None, None, None, Some(text)) => Test::Cel(text),
        _ => return contradiction("compare in exactly one way: exact, glob, regex or cel"),
    };
    let field = match (&test, field) {
        (Test::Cel(_), None) => Subject::Id,
        (Test::Cel(_), Some(_)) => {
            return contradiction("a cel expression sees every field; leave field out beside it");
        }
        (_, None) => return contradiction("exact, glob and regex need a field, such as field: email"),
        (_, Some(name)) => match subject(&name) {
            Some(subject) => subject,
            None => return contradiction("there is no such field; write one that the description of field names"),
        },
    };
    let kind = match kind {
        PrincipalKind::User => Kind::User,
        PrincipalKind::Group => Kind::Group,
    };
    Ok(MatcherSpec { kind, field, test })
}

fn subject(name: &str) -> Option<Subject> {
    Some(match name {
        "id" => Subject::Id,
        "email" => Subject::Field(Field::Email),
        "aliases" => Subject::Field(Field::Aliases),
        "givenName" => Subject::Field(Field::GivenName),
        "familyName" => Subject::Field(Field::FamilyName),
        "displayName" => Subject::Field(Field::DisplayName),
        "orgUnit" => Subject::Field(Field::OrgUnit),
        "name" => Subject::Field(Field::Name),
        "description" => Subject::Field(Field::Description),
        _ => Subject::Attribute(name.strip_prefix("attributes.")?.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(field: &str) -> PrincipalMatch {
        PrincipalMatch { field: Some(field.into()), ..PrincipalMatch::default() }
    }

    #[test]
    fn every_rule_of_a_list_counts() {
        let rules = [
            PrincipalMatch { exact: Some("a@example.com".into()), ..rule("email") },
            PrincipalMatch { glob: Some("Dr*".into()), ..rule("attributes.title") },
            PrincipalMatch { cel: Some("user.active".into()), ..PrincipalMatch::default() },
        ];
        assert_eq!(matchers("spec.protect", &rules).unwrap().len(), 3);
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_no_empty_rule() {
        let error = |rule: PrincipalMatch| matchers("spec.protect", &[rule]).unwrap_err().to_string();
        let wrong = error(PrincipalMatch { regex: Some("(".into()), ..rule("email") });
        assert!(wrong.starts_with("spec.protect[0].regex: "), "{wrong}");
        assert!(error(rule("email")).starts_with("spec.protect[0]: compare in exactly one way"));
        let unknown = error(PrincipalMatch { exact: Some("x".into()), ..rule("mail") });
        assert!(unknown.starts_with("spec.protect[0]: there is no such field"), "{unknown}");
    }
}
