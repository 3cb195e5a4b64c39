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

/// The normal form of a member value.
pub(super) fn member_normal_form(value: &[u8]) -> Vec<u8> {
    normal_form(member_name(value))
}

/// The name in a member value: with `uniqueMember` an optional bit string may follow (RFC 4517 §3.3.21), which does not
/// count.
pub(super) fn member_name(value: &[u8]) -> &[u8] {
    let name = value.strip_suffix(b"'B").and_then(|name| {
        let hash = name.iter().rposition(|&b| b == b'#')?;
        let bits = name.get(hash + 1..)?.strip_prefix(b"'")?;
        bits.iter().all(|b| matches!(b, b'0' | b'1')).then(|| name.get(..hash))?
    });
    name.unwrap_or(value)
}

/// The name of the entry above this one, as it is written; empty if there is none.
pub(super) fn above(name: &str) -> &str {
    let (mut escaped, mut quoted) = (false, false);
    let end = name.bytes().position(|byte| match byte {
        _ if std::mem::take(&mut escaped) => false,
        b'\\' => {
            escaped = true;
            false
        }
        b'"' => {
            quoted = !quoted;
            false
        }
        b',' | b';' => !quoted,
        _ => false,
    });
    end.and_then(|end| name.get(end + 1..)).unwrap_or_default().trim_start()
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
    // Of a relative distinguished name with several, which may come in any order.
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut start = form.len();
    loop {
        let (separator, after) = push_part(rest, form)?;
        rest = after;
        if separator == Some(b'+') || !parts.is_empty() {
            parts.push(form.split_off(start));
        }
        if separator == Some(b'+') {
            continue;
        }
        parts.sort_unstable();
        for (index, part) in parts.drain(..).enumerate() {
            if index > 0 {
                form.push(PART);
            }
            form.extend(part);
        }
        if separator.is_none() {
            return Some(());
        }
        form.push(LEVEL);
        start = form.len();
    }
}

/// Adds one `type=value`, and gives the separator behind it and what follows.
fn push_part<'n>(input: &'n [u8], form: &mut Vec<u8>) -> Option<(Option<u8>, &'n [u8])> {
    let equals = input.iter().position(|&b| b == b'=')?;
    push_type(input.get(..equals)?, form)?;
    form.push(b'=');
    let value = input.get(equals + 1..)?.trim_ascii_start();
    let end = value.iter().position(|b| matches!(b, b'\\' | b',' | b';' | b'+')).unwrap_or(value.len());
    let (written, after) = value.split_at_checked(end)?;
    let stop = after.first().copied();
    // Most values mean what is written.
    if stop != Some(b'\\') && value.first() != Some(&b'"') {
        push_value(written, form);
        return Some((stop, after.get(1..).unwrap_or_default()));
    }
    let mut meant = Vec::with_capacity(value.len());
    let ended = push_unescaped(value, &mut meant)?;
    push_value(&meant, form);
    Some(ended)
}

/// Adds a value without its quotation marks and escapes, and gives the separator behind it and what follows.
fn push_unescaped<'n>(value: &'n [u8], meant: &mut Vec<u8>) -> Option<(Option<u8>, &'n [u8])> {
    let quoted = value.first() == Some(&b'"');
    let mut rest = if quoted { value.get(1..)? } else { value };
    let mut closed = !quoted;
    let separator = loop {
        let Some((&byte, after)) = rest.split_first() else { break None };
        rest = after;
        match byte {
            b'\\' => {
                let pair = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                if let Some(pair) = pair.filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit())) {
                    meant.push(u8::from_str_radix(pair, 16).ok()?);
                    rest = rest.get(2..)?;
                } else {
                    let (&literal, after) = rest.split_first()?;
                    meant.push(literal);
                    rest = after;
                }
            }
            b'"' if quoted => closed = true,
            // A semicolon separated names in LDAPv2 (RFC 1779); in a value it is escaped.
            b',' | b';' | b'+' if closed => break Some(byte),
            _ => meant.push(byte),
        }
    };
    closed.then_some((separator, rest))
}

fn push_type(written: &[u8], form: &mut Vec<u8>) -> Option<()> {
    let written = std::str::from_utf8(written).ok()?.trim();
    // Only a number is announced like this (RFC 2253 §4).
    let number = written.split_at_checked(4).filter(|(oid, _)| oid.eq_ignore_ascii_case("oid.")).map(|(_, name)| name);
    let name = number.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(written);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        return None;
    }
    let short = SHORT_NAMES.iter().find(|(_, long, oid)| long.eq_ignore_ascii_case(name) || *oid == name);
    let name = short.map_or(name, |(short, ..)| short);
    form.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
    Some(())
}

fn push_value(value: &[u8], form: &mut Vec<u8>) {
    match std::str::from_utf8(value) {
        Ok(text) if !value.is_ascii() => push_folded(text.to_lowercase().as_bytes(), form),
        _ => push_folded(value, form),
    }
}

/// Adds a value without what matching ignores; other letters than those of ASCII are in lower case already.
fn push_folded(value: &[u8], form: &mut Vec<u8>) {
    let mut blank = false;
    for &byte in value.trim_ascii() {
        if byte == b' ' {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            form.push(b' ');
        }
        push_byte(byte.to_ascii_lowercase(), form);
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
        assert_eq!(member_name(b"cn=a,o=x#'0101'B"), b"cn=a,o=x");
    }

    #[test]
    fn the_entry_above_comes_after_the_first_part_of_the_name() {
        for (name, parent) in [
            ("cn=a, ou=p,o=x", "ou=p,o=x"),
            (r"cn=Lovelace\, Ada,o=x", "o=x"),
            ("cn=\"Lovelace, Ada\",o=x", "o=x"),
            ("o=x", ""),
            ("", ""),
        ] {
            assert_eq!(above(name), parent, "{name}");
        }
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
            let _ = above(&String::from_utf8_lossy(&name));
        }

        #[test]
        fn a_value_may_be_written_plainly_in_quotes_or_in_escapes(value in "[ -~äÖß]{1,12}", other in "[a-z]{1,3}") {
            prop_assume!(!value.starts_with(' ') && !value.ends_with(' '));
            let special = |c: char| if "\\\",;+".contains(c) { format!("\\{c}") } else { c.to_string() };
            let escaped: String = value.chars().map(special).collect();
            let numbered: Vec<String> = value.bytes().map(|byte| format!("\\{byte:02x}")).collect();
            let numbered = numbered.concat();
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let name = |value: &str| format!("cn={value}+uid={other},o={value}");
            prop_assert!(same(&name(&escaped), &name(&numbered)));
            let in_quotes = name(&format!("\"{quoted}\""));
            let turned = format!("uid={other}+cn={numbered},o={escaped}");
            prop_assert!(same(&name(&escaped), &in_quotes));
            prop_assert!(same(&name(&escaped), &turned));
        }
    }
}
