//! Search filters (RFC 4515).

use super::syntax::{Syntax, Syntaxes};

/// How deeply a filter may be nested; the parser of the LDAP library recurses.
const NESTING_CAP: usize = 32;

const HEX: [u8; 16] = *b"0123456789abcdef";

/// Whether the filter can be sent.
pub(super) fn is_valid(filter: &str) -> bool {
    let mut depth = 0_usize;
    for byte in filter.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_CAP {
            return false;
        }
    }
    ldap3::parse_filter(filter).is_ok()
}

/// The filter for the entries whose attribute has this value, whatever characters it contains. `None` if no value of
/// the attribute can read like this.
pub(super) fn equals(syntaxes: &Syntaxes, attribute: &str, value: &str) -> Option<String> {
    let value = match syntaxes.of(attribute) {
        Syntax::Text => ldap3::ldap_escape(value).into_owned(),
        syntax => escaped(&syntax.bytes(value)?),
    };
    Some(format!("({attribute}={value})"))
}

/// The filter for what both select.
pub(super) fn both(one: &str, other: &str) -> String {
    // The library takes a filter without its outer parentheses, too.
    let whole = |filter: &str| {
        let filter = filter.trim();
        if filter.starts_with('(') { filter.to_owned() } else { format!("({filter})") }
    };
    format!("(&{}{})", whole(one), whole(other))
}

/// Bytes as a filter holds them (RFC 4515 §3).
fn escaped(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [b'\\', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// The attributes that a filter tests, as written, without options.
pub(super) fn attributes(filter: &str) -> Vec<&str> {
    // A parenthesis within a value is escaped (RFC 4515 §3).
    let items = filter.split('(').map(str::trim_start).filter(|item| !item.starts_with(['&', '|', '!']));
    let names = items.filter_map(|item| item.split(['=', '~', '<', '>', ':', ';']).next());
    names.map(str::trim).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_before_anything_is_sent() {
        assert!(is_valid("(&(objectClass=person)(!(uid=svc-*)))"));
        for wrong in ["", "uid=a)", "(uid=a", "(&(uid=a)", "(uid=a)(uid=b)", &"(!".repeat(2000)] {
            assert!(!is_valid(wrong), "{wrong:.20}");
        }
    }

    #[test]
    fn a_value_cannot_change_the_filter() {
        let equals = |attribute: &str, value: &str| equals(&Syntaxes::default(), attribute, value);
        assert_eq!(equals("entryUUID", "*)(uid=*").unwrap(), r"(entryUUID=\2a\29\28uid=\2a)");
        assert_eq!(equals("objectGUID", "*)(uid=*"), None);
        let guid = "03020100-0504-0706-0809-0a0b0c0d0e0f";
        let bytes = r"\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f";
        assert_eq!(equals("objectGUID", guid).unwrap(), format!("(objectGUID={bytes})"));
    }

    #[test]
    fn two_filters_are_joined_whether_they_have_parentheses_or_not() {
        for filter in [both("(uid=*)", "(mail=a)"), both("uid=*", "mail=a")] {
            assert_eq!(filter, "(&(uid=*)(mail=a))");
            assert!(is_valid(&filter));
        }
    }

    #[test]
    fn the_attributes_of_a_filter_are_found_wherever_they_stand() {
        let filter = r"(&(objectClass=user)(| (mail=*)(sn;lang-de~=x))(!(userAccountControl:1.2.840.113556.1.4.803:=2))(cn=\28a))";
        assert_eq!(attributes(filter), ["objectClass", "mail", "sn", "userAccountControl", "cn"]);
    }
}
