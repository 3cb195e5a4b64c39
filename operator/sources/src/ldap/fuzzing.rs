//! What has to hold for whatever names and filters are written.

use super::dn::{ESCAPE, LEVEL, PART, is_directly_below, is_within, member_normal_form, normal_form};
use super::filter;
pub(crate) use super::guard::fuzzing::{entry, framing};
use super::referral::Target;
use super::syntax::{Syntax, Syntaxes};
use ldap3::asn1::{ASNTag, PL, StructureTag};
use std::fmt::Write;

/// The input is a distinguished name.
///
/// # Panics
///
/// If another writing of a name is another name, or if an entry does not lie where its name says.
pub(crate) fn dn(name: &[u8]) {
    let form = normal_form(name);
    for other in [name.to_ascii_lowercase(), name.to_ascii_uppercase(), [&b" "[..], name].concat()] {
        assert_eq!(normal_form(&other), form, "case and blanks make another name");
    }
    assert_eq!(member_normal_form(&[name, b"#'01'B"].concat()), form, "a bit string makes another member");
    assert!(is_within(&form, &form) && is_within(&form, b"") && !is_directly_below(&form, &form));

    let Some(levels) = split(&form) else {
        // Other references are told from names by their first byte.
        assert!(!form.contains(&LEVEL), "what is no name lies below something");
        return;
    };
    for write in [in_digits, in_letters] {
        let written = write(&levels);
        assert_eq!(normal_form(&written), form, "the normal form of {} is another", String::from_utf8_lossy(&written));
    }
    if levels.is_empty() {
        return;
    }
    let below = normal_form(&[&b"cn=a,"[..], name].concat());
    assert!(is_directly_below(&below, &form) && is_within(&below, &form) && !is_within(&form, &below));
    let beside = normal_form(&[&b"cn=a+"[..], name].concat());
    assert!(!is_within(&beside, &form), "an entry lies below another of the same level");
}

/// A relative name: each of its parts with type and value.
type Level = Vec<(Vec<u8>, Vec<u8>)>;

/// The relative names of a normal form, from the entry upwards; `None` if it is none of a name.
fn split(form: &[u8]) -> Option<Vec<Level>> {
    if form.first() == Some(&ESCAPE) {
        return None;
    }
    let part = |part: &[u8]| {
        let equals = part.iter().position(|&byte| byte == b'=')?;
        let mut value = Vec::new();
        let mut escaped = part.get(equals + 1..)?.iter();
        while let Some(&byte) = escaped.next() {
            value.push(if byte == ESCAPE { escaped.next()?.checked_sub(0x10)? } else { byte });
        }
        Some((part.get(..equals)?.to_vec(), value))
    };
    let levels = form.split(|&byte| byte == LEVEL).filter(|level| !level.is_empty());
    let levels: Option<Vec<Level>> =
        levels.map(|level| level.split(|&byte| byte == PART).map(part).collect()).collect();
    assert!(levels.is_some(), "a normal form that is none");
    levels
}

/// Writes a name with every byte of its values as two digits.
fn in_digits(levels: &[Level]) -> Vec<u8> {
    write_name(levels, &digits)
}

/// Writes a name as people would (RFC 4514 §2.4).
fn in_letters(levels: &[Level]) -> Vec<u8> {
    write_name(levels, &|value| {
        let written = value.iter().map(|&byte| match byte {
            b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\' => format!("\\{}", char::from(byte)),
            0x21..0x7f => char::from(byte).to_string(),
            _ => format!("\\{byte:02x}"),
        });
        written.collect()
    })
}

/// Every byte as two digits, which names and filters write alike.
fn digits(value: &[u8]) -> String {
    value.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\{byte:02X}");
        text
    })
}

fn write_name(levels: &[Level], write: &dyn Fn(&[u8]) -> String) -> Vec<u8> {
    let level = |parts: &Level| {
        let parts = parts.iter().map(|(kind, value)| [kind, &b"="[..], write(value).as_bytes()].concat());
        parts.collect::<Vec<_>>().join(&b'+')
    };
    levels.iter().map(level).collect::<Vec<_>>().join(&b',')
}

/// The input is a filter, and also what a search looks for.
///
/// # Panics
///
/// If a filter that is taken means something else when it is written anew, tests an attribute unnoticed, or if a value
/// that is looked for changes the filter.
pub(crate) fn filter(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Some(parsed) = parse(text) {
        let written = write_filter(&parsed);
        assert_eq!(parse(&written), Some(parsed.clone()), "{text} is written anew as {written}");
        let mut tested = Vec::new();
        collect_attributes(&parsed, &mut tested);
        assert_eq!(filter::attributes(text), tested, "{text} tests other attributes");
    }
    for attribute in ["mail", "objectGUID", "objectSid", "jpegPhoto"] {
        let Some(equals) = filter::equals(&Syntaxes::default(), attribute, text) else { continue };
        let bytes = Syntax::of(attribute).bytes(text).unwrap_or_default();
        let parsed = parse(&equals);
        let Some((3, [kind, value])) = parsed.as_ref().and_then(constructed) else {
            unreachable!("{equals} is no test for equality");
        };
        assert_eq!((primitive(kind), primitive(value)), (attribute.as_bytes(), bytes.as_slice()), "{equals}");
    }
    for url in [text, &format!("ldap://localhost/dc=example??sub?{text}")] {
        let filter = Target::parse(url).and_then(|target| target.filter);
        assert!(filter.is_none_or(|filter| filter::is_valid(&filter)), "{url} is followed with an invalid filter");
    }
}

/// A filter as it would be sent, if it would be.
fn parse(text: &str) -> Option<StructureTag> {
    filter::is_valid(text).then(|| ldap3::parse_filter(text).ok()).flatten().map(ASNTag::into_structure)
}

fn constructed(tag: &StructureTag) -> Option<(u64, &[StructureTag])> {
    match &tag.payload {
        PL::C(parts) => Some((tag.id, parts)),
        PL::P(_) => None,
    }
}

fn primitive(tag: &StructureTag) -> &[u8] {
    match &tag.payload {
        PL::P(bytes) => bytes,
        PL::C(_) => unreachable!("a value with parts"),
    }
}

/// Writes a filter from its parts (RFC 4511 §4.5.1.7), with every byte of its values as two digits (RFC 4515 §3).
fn write_filter(filter: &StructureTag) -> String {
    let text = |tag| String::from_utf8_lossy(primitive(tag)).into_owned();
    let value = |tag| digits(primitive(tag));
    let inner = match (filter.id, constructed(filter)) {
        (7, None) => format!("{}=*", text(filter)),
        (operator @ 0..=2, Some((_, parts))) => {
            let operator = ["&", "|", "!"].get(usize::try_from(operator).unwrap_or_default()).copied();
            operator.into_iter().map(str::to_owned).chain(parts.iter().map(write_filter)).collect()
        }
        (4, Some((_, [kind, parts]))) => {
            let mut written = format!("{}=", text(kind));
            let parts = constructed(parts).map(|(_, parts)| parts).unwrap_or_default();
            for part in parts {
                let star = if part.id == 0 { "" } else { "*" };
                written += star;
                written += &value(part);
            }
            // The last part may end anywhere, unless it says that it is the end.
            if parts.last().is_none_or(|last| last.id != 2) {
                written.push('*');
            }
            written
        }
        (9, Some((_, parts))) => {
            let part = |id| parts.iter().find(|part| part.id == id);
            let kind = part(2).map(text).unwrap_or_default();
            let names = if part(4).is_some() { ":dn" } else { "" };
            let rule = part(1).map(|rule| format!(":{}", text(rule))).unwrap_or_default();
            format!("{kind}{names}{rule}:={}", part(3).map(value).unwrap_or_default())
        }
        (operator, Some((_, [kind, tested]))) => {
            let operator = match operator {
                3 => "=",
                5 => ">=",
                6 => "<=",
                _ => "~=",
            };
            format!("{}{operator}{}", text(kind), value(tested))
        }
        other => unreachable!("{other:?} is no part of a filter"),
    };
    format!("({inner})")
}

/// The attributes that a filter tests, from its parts.
fn collect_attributes(filter: &StructureTag, found: &mut Vec<String>) {
    let kind = match (filter.id, constructed(filter)) {
        (0..=2, Some((_, parts))) => return parts.iter().for_each(|part| collect_attributes(part, found)),
        (9, Some((_, parts))) => parts.iter().find(|part| part.id == 2),
        (_, Some((_, parts))) => parts.first(),
        (_, None) => Some(filter),
    };
    let kind = kind.map(|kind| String::from_utf8_lossy(primitive(kind)));
    found.extend(kind.and_then(|kind| Some(kind.split(';').next()?.to_owned())));
}
