//! Search filters (RFC 4515).

/// How deeply a filter may be nested; the parser of the LDAP library recurses.
const NESTING_CAP: usize = 32;

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

/// The filter for the entries whose attribute has this value, whatever characters it contains.
pub(super) fn equals(attribute: &str, value: &str) -> String {
    format!("({attribute}={})", ldap3::ldap_escape(value))
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
        assert_eq!(equals("entryUUID", "*)(uid=*"), r"(entryUUID=\2a\29\28uid=\2a)");
    }
}
