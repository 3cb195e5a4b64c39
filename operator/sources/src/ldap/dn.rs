//! Distinguished names in a form in which two names of one entry are the same bytes (RFC 4514, RFC 4518).
//!
//! Attribute types lose their case and their long or numeric spelling; values lose escapes, case, and the blanks that
//! matching ignores. Naming attributes that match by case are not told apart: none in use does.

/// Between relative distinguished names.
pub(super) const LEVEL: u8 = 0;
/// Between the parts of one relative distinguished name.
pub(super) const PART: u8 = 1;
/// Before a byte of a value that would read as one of these three; at the beginning, before what is no name.
pub(super) const ESCAPE: u8 = 2;

/// Spellings of the attribute types that RFC 4514 §3 gives short names.
const SHORT_NAMES: [(&str, &str, &str); 9] = [
    ("cn", "commonname", "2.5.4.3"),
    ("l", "localityname", "2.5.4.7"),
    ("st", "stateorprovincename", "2.5.4.8"),
    ("o", "organizationname", "2.5.4.10"),
    ("ou", "organizationalunitname", "2.5.4.11"),
    ("c", "countryname", "2.5.4.6"),
    ("street", "streetaddress", "2.5.4.9"),
    ("dc", "domaincomponent", "0.9.2342.19200300.100.1.25"),
    ("uid", "userid", "0.9.2342.19200300.100.1.1"),
];

/// The normal form of a name. What is no name becomes itself in lower case, and is equal to no name.
pub(super) fn normal_form(name: &[u8]) -> Vec<u8> {
    let mut form = Vec::with_capacity(name.len());
    if push_name(name, &mut form).is_none() {
        form.clear();
        form.push(ESCAPE);
        name.trim_ascii().iter().for_each(|byte| push_byte(byte.to_ascii_lowercase(), &mut form));
    }
    form
}

/// The normal form of a member value: a name, with `uniqueMember` followed by an optional bit string
/// (RFC 4517 §3.3.21), which does not count.
pub(super) fn member_normal_form(value: &[u8]) -> Vec<u8> {
    let name = value.strip_suffix(b"'B").and_then(|name| {
        let hash = name.iter().rposition(|&b| b == b'#')?;
        let bits = name.get(hash + 1..)?.strip_prefix(b"'")?;
        bits.iter().all(|b| matches!(b, b'0' | b'1')).then(|| name.get(..hash))?
    });
    normal_form(name.unwrap_or(value))
}

/// Whether the entry lies at or below the base; both in normal form.
pub(super) fn is_within(entry: &[u8], base: &[u8]) -> bool {
    base.is_empty() || entry == base || entry.strip_suffix(base).is_some_and(|above| above.last() == Some(&LEVEL))
}

/// Whether the entry lies directly below the base; both in normal form.
pub(super) fn is_directly_below(entry: &[u8], base: &[u8]) -> bool {
    match entry.iter().position(|&b| b == LEVEL) {
        Some(level) => entry.get(level + 1..) == Some(base),
        // Above the root is nothing, not itself.
        None => base.is_empty() && !entry.is_empty(),
    }
}

fn push_name(name: &[u8], form: &mut Vec<u8>) -> Option<()> {
    let mut rest = name.trim_ascii_start();
    if rest.is_empty() {
        return Some(());
    }
    let mut parts: Vec<Vec<u8>> = Vec::new();
    loop {
        let (part, separator, after) = part(rest)?;
        parts.push(part);
        rest = after;
        if separator != Some(b'+') {
            parts.sort_unstable();
            for (index, part) in parts.drain(..).enumerate() {
                if index > 0 {
                    form.push(PART);
                }
                form.extend(part);
            }
        }
        match separator {
            None => return Some(()),
            Some(b'+') => {}
            Some(_) => form.push(LEVEL),
        }
    }
}

/// One `type=value`, the separator behind it, and what follows.
fn part(input: &[u8]) -> Option<(Vec<u8>, Option<u8>, &[u8])> {
    let equals = input.iter().position(|&b| b == b'=')?;
    let mut part = attribute_type(input.get(..equals)?)?;
    part.push(b'=');
    let mut rest = input.get(equals + 1..)?.trim_ascii_start();
    let mut value = Vec::new();
    let quoted = rest.first() == Some(&b'"');
    if quoted {
        rest = rest.get(1..)?;
    }
    let mut closed = !quoted;
    let separator = loop {
        let Some((&byte, after)) = rest.split_first() else { break None };
        rest = after;
        match byte {
            b'\\' => {
                let pair = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                if let Some(pair) = pair.filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit())) {
                    value.push(u8::from_str_radix(pair, 16).ok()?);
                    rest = rest.get(2..)?;
                } else {
                    let (&literal, after) = rest.split_first()?;
                    value.push(literal);
                    rest = after;
                }
            }
            b'"' if quoted => closed = true,
            // A semicolon separated names in LDAPv2 (RFC 1779); in a value it is escaped.
            b',' | b';' | b'+' if closed => break Some(byte),
            _ => value.push(byte),
        }
    };
    if !closed {
        return None;
    }
    push_value(&value, &mut part);
    Some((part, separator, rest))
}

fn attribute_type(written: &[u8]) -> Option<Vec<u8>> {
    let written = std::str::from_utf8(written).ok()?.trim().to_ascii_lowercase();
    // Only a number is announced like this (RFC 2253 §4).
    let number = written.strip_prefix("oid.").filter(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    let name = number.unwrap_or(&written);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        return None;
    }
    let short = SHORT_NAMES.iter().find(|(_, long, oid)| *long == name || *oid == name).map(|(short, ..)| *short);
    Some(short.unwrap_or(name).as_bytes().to_vec())
}

fn push_value(value: &[u8], part: &mut Vec<u8>) {
    let folded = match std::str::from_utf8(value) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().into_bytes(),
        _ => value.to_ascii_lowercase(),
    };
    let mut blank = false;
    for &byte in folded.trim_ascii() {
        if byte == b' ' {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            part.push(b' ');
        }
        push_byte(byte, part);
    }
}

fn push_byte(byte: u8, form: &mut Vec<u8>) {
    if byte <= ESCAPE {
        form.extend([ESCAPE, byte + 0x10]);
    } else {
        form.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(a: &str, b: &str) -> bool {
        normal_form(a.as_bytes()) == normal_form(b.as_bytes())
    }

    #[test]
    fn case_blanks_and_escapes_do_not_make_another_name() {
        assert!(same("uid=ada,ou=People,dc=example,dc=com", "UID = Ada , OU=people, DC=Example,dc=COM"));
        assert!(same(r"cn=Lovelace\, Ada,o=x", r"cn=Lovelace\2C Ada,o=x"));
        assert!(same(r"cn=Lovelace\, Ada,o=x", "cn=\"Lovelace, Ada\",o=x"));
        assert!(same("cn=Ada   Lovelace,o=x", "cn=ada lovelace,o=x"));
        assert!(same("cn=MÜLLER,o=x", r"cn=m\C3\BCller,o=x"));
        assert!(same("cn=a+uid=b,o=x", "UID=b + CN=a,o=x"));
        assert!(same("OID.2.5.4.3=a,o=x", "commonName=a,o=x"));
    }

    #[test]
    fn different_names_stay_different() {
        for (a, b) in [
            ("cn=a,o=x", "cn=b,o=x"),
            (r"cn=a\,o=x", "cn=a,o=x"),
            (r"cn=a\+uid=b,o=x", "cn=a+uid=b,o=x"),
            ("cn=a b,o=x", "cn=ab,o=x"),
            ("nothing", "cn=nothing"),
            ("oid.oid.cn=a", "oid.cn=a"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_unique_member_is_its_name_without_the_bit_string() {
        assert_eq!(member_normal_form(b"cn=a,o=x#'0101'B"), normal_form(b"cn=a,o=x"));
        assert_eq!(member_normal_form(b"CN=A, o=x"), normal_form(b"cn=a,o=x"));
    }

    #[test]
    fn an_entry_is_below_its_ancestors_only() {
        let [entry, base, other] = ["cn=a,ou=p,o=x", "OU=P,O=X", "ou=pp,o=x"].map(|name| normal_form(name.as_bytes()));
        assert!(is_within(&entry, &base) && is_within(&base, &base) && is_directly_below(&entry, &base));
        assert!(!is_within(&entry, &other) && !is_within(&base, &entry) && !is_directly_below(&base, &base));
        assert!(!is_within(&normal_form(br"cn=\00ou\3Dp\00o\3Dx"), &base));
        assert!(!is_within(&normal_form(b"no name\0ou=p\0o=x"), &base));
        assert!(is_directly_below(&normal_form(b"o=x"), b"") && !is_directly_below(b"", b""));
        assert!(!is_directly_below(&entry, &normal_form(b"o=x")) && is_within(&entry, &normal_form(b"o=x")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(name in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = normal_form(&name);
            let _ = member_normal_form(&name);
        }
    }
}
