//! Names of attributes, and the list of those a mapping needs.

/// Whether two attribute descriptions name the same values: types compare without case, options without case and
/// order (RFC 4512 §2.5). `cn` and `cn;lang-de` are different: the latter is a subtype with values of its own.
pub fn same_attribute(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    let (mut a, mut b) = (a.split(';'), b.split(';'));
    let types = (a.next().unwrap_or_default(), b.next().unwrap_or_default());
    types.0.eq_ignore_ascii_case(types.1) && contains_all(&a, b.clone()) && contains_all(&b, a.clone())
}

fn contains_all<'o>(options: &(impl Iterator<Item = &'o str> + Clone), others: impl Iterator<Item = &'o str>) -> bool {
    others.into_iter().all(|other| options.clone().any(|option| option.eq_ignore_ascii_case(other)))
}

/// Whether a text can be an attribute description: a descriptor or a numeric OID, then options (RFC 4512 §2.5). In a
/// source whose entries are JSON, a descriptor is a path with dots: `name.givenName`.
pub(super) fn is_attribute(name: &str) -> bool {
    let mut parts = name.split(';');
    let kind = parts.next().unwrap_or_default();
    let descriptor = kind.starts_with(|c: char| c.is_ascii_alphabetic()) && kind.split('.').all(is_keystring);
    let oid = kind.split('.').count() > 1
        && kind.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 256 && (descriptor || oid) && parts.all(is_keystring)
}

/// Active Directory names attributes with underscores too, against the letter of the RFC.
fn is_keystring(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The attributes that a mapping needs, each once; an entry's values come in this order.
#[derive(Debug, Clone, Default)]
pub(super) struct AttributeList(Vec<String>);

impl AttributeList {
    /// The place of an attribute, which is added if it is new.
    pub(super) fn place(&mut self, name: &str) -> usize {
        self.0.iter().position(|known| same_attribute(known, name)).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }

    /// The names, as first written.
    pub(super) fn names(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_the_same_whatever_their_case_and_the_order_of_options() {
        assert!(same_attribute("displayName", "DISPLAYNAME"));
        assert!(same_attribute("cn;lang-de;binary", "CN;Binary;LANG-DE"));
        assert!(!same_attribute("cn", "cn;lang-de"));
        assert!(!same_attribute("cn;lang-de", "cn;lang-en"));
    }

    #[test]
    fn what_cannot_name_an_attribute_is_told_apart() {
        for name in
            ["mail", "msDS-UserAccountDisabled", "ms_custom", "2.5.4.3", "userCertificate;binary", "name.givenName"]
        {
            assert!(is_attribute(name), "{name:?}");
        }
        for name in ["", "1mail", "a b", "mail;", "2..5", "2", "name.", "größe", "mail,cn", "(mail=*)"] {
            assert!(!is_attribute(name), "{name:?}");
        }
    }
}
