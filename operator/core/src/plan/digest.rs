//! Names of operations and plans by their content.

use super::Plan;
use super::order::alias;
use crate::capabilities::Field;
use crate::operation::{Kind, NO_ROW, Operation};
use crate::snapshot::{Member, MemberKind, User};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a content, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is sha256: followed by 64 lower-case hexadecimal digits")]
pub struct NoDigest;

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or(NoDigest)?;
        if !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(NoDigest);
        }
        let mut digest = [0; 32];
        for (at, byte) in digest.iter_mut().enumerate() {
            let pair = digits.get(2 * at..2 * at + 2).ok_or(NoDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoDigest)?;
        }
        Ok(Self(digest))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Feeds texts so that no two different lists of texts feed the same bytes.
struct Content(Sha256);

impl Content {
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// The digest of one operation: the verb, the object it changes, and every value it writes.
pub(crate) fn of_operation(plan: &Plan<'_>, operation: &Operation) -> Digest {
    let mut content = Content(Sha256::new());
    content.text(operation.verb.into());
    match operation.verb.kind() {
        Kind::User | Kind::Alias => user(plan, operation, &mut content),
        Kind::Group | Kind::Membership => group(plan, operation, &mut content),
    }
    content.finish()
}

fn user(plan: &Plan<'_>, operation: &Operation, content: &mut Content) {
    let source = (operation.source != NO_ROW).then(|| plan.source.user(operation.source as usize));
    let target = (operation.target != NO_ROW).then(|| plan.target.user(operation.target as usize));
    content.text(target.map_or("source", |_| "target"));
    content.text(target.or(source).map_or("", |user| user.id()));
    if operation.verb.kind() == Kind::Alias {
        content.text(alias(operation, plan.source, plan.target));
        return;
    }
    let Some(source) = source else { return };
    for field in operation.fields.iter() {
        content.text(field.into());
        match field {
            Field::ExternalId => content.text(source.id()),
            Field::Email => content.text(source.address()),
            Field::GivenName => content.text(source.given_name()),
            Field::FamilyName => content.text(source.family_name()),
            Field::DisplayName => content.text(source.display_name()),
            Field::OrgUnit => content.text(source.org_unit()),
            Field::Active => content.text(if source.active() { "true" } else { "false" }),
            Field::Aliases => {
                let mut aliases: Vec<_> = source.aliases().collect();
                aliases.sort_unstable();
                content.text(&aliases.len().to_string());
                for alias in aliases {
                    content.text(alias);
                }
            }
            Field::Attributes => {
                let known = &plan.capabilities.attributes;
                for (name, value) in source.attributes().filter(|(name, _)| known.contains(*name)) {
                    content.text(name);
                    content.text(value);
                }
            }
            Field::Password => content.text(&fingerprint(plan, source)),
            Field::Name | Field::Description | Field::Members => {}
        }
    }
}

/// What stands for a password: its fingerprint under the user's key. Without a key nothing may stand for it that could
/// be tried against guesses, so that there it is only said that there is one.
fn fingerprint(plan: &Plan<'_>, user: User<'_>) -> String {
    match (&plan.password_key, user.password()) {
        (Some(key), Some(password)) => key.fingerprint(user.id(), password).digits(),
        (None, Some(password)) => password.scheme().to_string(),
        (_, None) => String::new(),
    }
}

fn group(plan: &Plan<'_>, operation: &Operation, content: &mut Content) {
    let source = (operation.source != NO_ROW).then(|| plan.source.group(operation.source as usize));
    let target = (operation.target != NO_ROW).then(|| plan.target.group(operation.target as usize));
    content.text(target.map_or("source", |_| "target"));
    content.text(target.or(source).map_or("", |group| group.id()));
    if operation.verb.kind() == Kind::Membership {
        let (side, snapshot, raw) = if operation.member_target == NO_ROW {
            ("source", plan.source, operation.member_source)
        } else {
            ("target", plan.target, operation.member_target)
        };
        content.text(side);
        match Member::from_raw(raw).kind() {
            MemberKind::User(row) => content.text(snapshot.user(row).id()),
            MemberKind::Group(row) => content.text(snapshot.group(row).id()),
        }
        return;
    }
    let Some(source) = source else { return };
    for field in operation.fields.iter() {
        content.text(field.into());
        match field {
            Field::ExternalId => content.text(source.id()),
            Field::Email => content.text(source.address()),
            Field::Name => content.text(source.name()),
            Field::Description => content.text(source.description()),
            _ => {}
        }
    }
}

/// The digest of a whole plan: its operations in the order of their digests, and the target.
pub(crate) fn of_plan(target: &str, operations: &[Digest]) -> Digest {
    let mut sorted = operations.to_vec();
    sorted.sort_unstable();
    let mut content = Content(Sha256::new());
    content.text(target);
    for digest in sorted {
        content.0.update(digest.0);
    }
    content.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_and_nothing_else_does() {
        let digest = of_plan("target", &[]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in
            ["", "sha256:", "md5:00", &digest.to_string().to_uppercase(), &format!("sha256:{}", "ä".repeat(32))]
        {
            assert_eq!(wrong.parse::<Digest>(), Err(NoDigest), "{wrong}");
        }
    }
}
