//! Names of attributes, and the list of those a mapping needs.

/// Attribute types that have several names, with their numbers (RFC 4519 §2, RFC 4524 §2; `gn` and `fax` are names that
/// servers add). A server takes each of them and answers with the one that it knows best. `street` and `streetAddress`
/// are not here, because they are two attributes in Active Directory.
const NAMES: [[&str; 3]; 15] = [
    ["cn", "commonName", "2.5.4.3"],
    ["sn", "surname", "2.5.4.4"],
    ["givenName", "gn", "2.5.4.42"],
    ["c", "countryName", "2.5.4.6"],
    ["l", "localityName", "2.5.4.7"],
    ["st", "stateOrProvinceName", "2.5.4.8"],
    ["o", "organizationName", "2.5.4.10"],
    ["ou", "organizationalUnitName", "2.5.4.11"],
    ["facsimileTelephoneNumber", "fax", "2.5.4.23"],
    ["dc", "domainComponent", "0.9.2342.19200300.100.1.25"],
    ["uid", "userid", "0.9.2342.19200300.100.1.1"],
    ["mail", "rfc822Mailbox", "0.9.2342.19200300.100.1.3"],
    ["homePhone", "homeTelephoneNumber", "0.9.2342.19200300.100.1.20"],
    ["mobile", "mobileTelephoneNumber", "0.9.2342.19200300.100.1.41"],
    ["pager", "pagerTelephoneNumber", "0.9.2342.19200300.100.1.42"],
];

/// Whether two names are of one attribute type.
fn same_type(a: &str, b: &str) -> bool {
    let has = |names: &[&str], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    a.eq_ignore_ascii_case(b) || NAMES.iter().any(|names| has(names, a) && has(names, b))
}

/// Whether two attribute descriptions name the same values: types compare by all their names and without case, options
/// without case and order (RFC 4512 §2.5). `cn` and `cn;lang-de` are different: the latter is a subtype with values of
/// its own.
pub fn same_attribute(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    let (mut a, mut b) = (a.split(';'), b.split(';'));
    let types = (a.next().unwrap_or_default(), b.next().unwrap_or_default());
    same_type(types.0, types.1) && contains_all(&a, b.clone()) && contains_all(&b, a.clone())
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

/// Attributes that hold passwords or keys: of LDAP, Active Directory, Samba, Kerberos and local administrators.
const SECRETS: [&str; 22] = [
    "userPassword",
    "2.5.4.35",
    "authPassword",
    "pwdHistory",
    "passwordHistory",
    "unicodePwd",
    "dBCSPwd",
    "ntPwdHistory",
    "lmPwdHistory",
    "supplementalCredentials",
    "msDS-ManagedPassword",
    "ms-Mcs-AdmPwd",
    "msLAPS-Password",
    "msLAPS-EncryptedPassword",
    "sambaNTPassword",
    "sambaLMPassword",
    "sambaPasswordHistory",
    "ipaNTHash",
    "ipatokenOTPkey",
    "krbPrincipalKey",
    "krb5Key",
    "olcRootPW",
];

/// Whether an attribute holds passwords or keys, which no field but the one for passwords may be made of.
pub(super) fn holds_secrets(name: &str) -> bool {
    let kind = name.split(';').next().unwrap_or_default();
    SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(kind))
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
        assert!(same_attribute("Surname", "sn") && same_attribute("SN", "2.5.4.4"), "several names");
        assert!(!same_attribute("sn", "cn"));
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
