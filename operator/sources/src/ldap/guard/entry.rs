//! `SearchResultEntry` (RFC 4511 §4.5.2), decoded where it lies.

use crate::ldap::LdapError;
use crate::ldap::ber::{self, BerError, Reader};
use crate::ldap::ranges;
use crate::ldap::syntax::Syntax;
use directory_sync_core::mapping::{Entry, VALUES_LIMIT, same_attribute};
use std::borrow::Cow;

/// Most values of the wanted attributes of one entry: more than a million members fit into one message.
const VALUES_CAP: usize = 2_000_000;

/// Takes the entries of a search as they arrive.
pub(crate) trait EntrySink: Send {
    /// The attributes whose values are wanted, in the order in which [`Entry::values`] has them.
    fn attributes(&self) -> &[String];

    /// Takes an entry.
    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError>;

    /// Takes a range of the values of an attribute (`member;range=0-1499`), before the entry that it belongs to, and says
    /// whether the rest is got by other means. If not, the attribute has more values than any mapping takes, so that what
    /// is made of it is unknown.
    fn range(&mut self, _description: &str, _values: &[&[u8]]) -> bool {
        false
    }

    /// Takes a continuation reference: a part of the answer that other servers hold, any of which may be asked.
    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError>;
}

/// What [`decode`] finds beside the values.
pub(super) struct Found<'e> {
    /// Name of the entry.
    pub(super) name: &'e str,
    /// Ranges of wanted attributes, of which there are more values.
    pub(super) ranges: Vec<(&'e str, Vec<&'e [u8]>)>,
}

/// Sorts the values of one entry into `values`, which has one list per wanted attribute. `names` are all that each of these
/// has, where they are not generally known.
pub(super) fn decode<'e>(
    body: &'e [u8],
    wanted: &[String],
    names: &[Vec<String>],
    values: &mut [Vec<&'e [u8]>],
) -> Result<Found<'e>, BerError> {
    values.iter_mut().for_each(Vec::clear);
    let mut entry = Reader::new(body);
    let mut found = Found { name: entry.text(ber::OCTET_STRING)?, ranges: Vec::new() };
    let mut attributes = Reader::new(entry.take(ber::SEQUENCE)?);
    let mut count = 0;
    let mut counted = |value| {
        count += 1;
        if count > VALUES_CAP { Err(BerError::TooMany { what: "values", cap: VALUES_CAP }) } else { Ok(value) }
    };
    // Servers mostly send attributes in one order for all entries, often that of the request.
    let mut next = 0;
    while !attributes.is_empty() {
        let mut attribute = Reader::new(attributes.take(ber::SEQUENCE)?);
        let kind = attribute.text(ber::OCTET_STRING)?;
        let mut list = Reader::new(attribute.take(ber::SET)?);
        if is_range(kind, wanted) {
            let mut range = Vec::new();
            while !list.is_empty() {
                range.push(counted(list.take(ber::OCTET_STRING)?)?);
            }
            found.ranges.push((kind, range));
            continue;
        }
        let Some(slot) = slot(kind, wanted, names, next) else { continue };
        next = slot + 1;
        let Some(slot) = values.get_mut(slot) else { continue };
        while !list.is_empty() {
            slot.push(counted(list.take(ber::OCTET_STRING)?)?);
        }
    }
    Ok(found)
}

/// Fills an attribute of which only a range came with more values than a mapping takes.
pub(super) fn overfill(description: &str, wanted: &[String], values: &mut [Vec<&[u8]>]) {
    let Some((name, _)) = ranges::bounds(description) else { return };
    for (_, values) in wanted.iter().zip(values).filter(|(wanted, _)| is_of_type(wanted, name)) {
        values.clear();
        values.resize(VALUES_LIMIT + 1, &[]);
    }
}

/// The texts that stand for values that are bytes; `None` where there are none among the wanted attributes.
pub(super) fn texts<'e>(syntaxes: &[Syntax], values: &[Vec<&'e [u8]>]) -> Option<Vec<Vec<Cow<'e, [u8]>>>> {
    if syntaxes.iter().all(|syntax| *syntax == Syntax::Text) {
        return None;
    }
    let attributes = syntaxes.iter().zip(values);
    Some(attributes.map(|(syntax, values)| values.iter().map(|value| syntax.text(value)).collect()).collect())
}

/// The place of an attribute. A server answers with the name that it knows best, whichever was asked for, and with options
/// in its own order.
fn slot(kind: &str, wanted: &[String], names: &[Vec<String>], next: usize) -> Option<usize> {
    if wanted.get(next).is_some_and(|name| name.eq_ignore_ascii_case(kind)) {
        return Some(next);
    }
    let by_name = wanted.iter().position(|name| name.eq_ignore_ascii_case(kind));
    let by_known_name = || wanted.iter().position(|name| same_attribute(name, kind));
    let by_learnt_name = || names.iter().position(|names| names.iter().any(|name| same_attribute(name, kind)));
    by_name.or_else(by_known_name).or_else(by_learnt_name)
}

/// Whether this is a wanted attribute with the option by which servers cut long lists.
fn is_range(kind: &str, wanted: &[String]) -> bool {
    let Some((name, _)) = kind.contains(';').then(|| ranges::bounds(kind)).flatten() else { return false };
    wanted.iter().any(|wanted| is_of_type(wanted, name))
}

/// Whether the attribute, whatever its options, is of this type.
fn is_of_type(attribute: &str, name: &str) -> bool {
    attribute.split(';').next().is_some_and(|attribute| same_attribute(attribute, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tlv(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let body = parts.concat();
        let mut all = vec![tag, u8::try_from(body.len()).unwrap()];
        all.extend(body);
        all
    }

    fn entry() -> Vec<u8> {
        let attribute = |name: &str, values: &[&str]| {
            let values: Vec<_> = values.iter().map(|value| tlv(4, &[value.as_bytes().to_vec()])).collect();
            tlv(0x30, &[tlv(4, &[name.as_bytes().to_vec()]), tlv(0x31, &values)])
        };
        let attributes = tlv(
            0x30,
            &[
                attribute("Mail", &["a@x"]),
                attribute("other", &["no"]),
                attribute("cn", &["a", "b"]),
                attribute("member;range=0-1", &["cn=x"]),
            ],
        );
        [tlv(4, &[b"cn=a".to_vec()]), attributes].concat()
    }

    #[test]
    fn wanted_values_come_in_the_order_of_the_request() {
        let wanted = ["cn", "mail", "sn", "member"].map(str::to_owned);
        let (body, mut values) = (entry(), vec![Vec::new(); 4]);
        let found = decode(&body, &wanted, &[], &mut values).unwrap();
        assert_eq!(found.name, "cn=a");
        assert_eq!(found.ranges, [("member;range=0-1", vec![&b"cn=x"[..]])]);
        assert_eq!(values, [vec![&b"a"[..], b"b"], vec![b"a@x"], vec![], vec![]]);
    }

    #[test]
    fn an_attribute_is_known_by_each_of_its_names() {
        let wanted = ["commonName", "RFC822Mailbox", "1.2.3"].map(str::to_owned);
        let learnt = [vec![], vec![], ["1.2.3", "another", "OTHER"].map(str::to_owned).to_vec()];
        let (body, mut values) = (entry(), vec![Vec::new(); 3]);
        decode(&body, &wanted, &learnt, &mut values).unwrap();
        assert_eq!(values, [vec![&b"a"[..], b"b"], vec![b"a@x"], vec![b"no"]]);
    }

    #[test]
    fn a_name_that_is_not_utf8_is_refused_and_such_a_value_is_not() {
        let mut body = entry();
        body[2] = 0xff;
        assert!(decode(&body, &[], &[], &mut []).is_err());
        let mut body = entry();
        let place = body.windows(3).position(|window| window == b"a@x").unwrap();
        body[place] = 0xff;
        assert!(decode(&body, &["mail".to_owned()], &[], &mut [Vec::new()]).is_ok());
    }

    #[test]
    fn an_attribute_of_which_only_a_range_came_has_more_values_than_a_mapping_takes() {
        let wanted = ["cn", "mail", "Member;binary"].map(str::to_owned);
        let (body, mut values) = (entry(), vec![Vec::new(); 3]);
        let found = decode(&body, &wanted, &[], &mut values).unwrap();
        overfill(found.ranges[0].0, &wanted, &mut values);
        assert_eq!(values.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, VALUES_LIMIT + 1]);
    }

    #[test]
    fn more_values_than_the_cap_are_refused() {
        let long =
            |tag: u8, body: &[u8]| [&[tag, 0x84], &u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
        let with = |count: usize| {
            let attribute = [vec![4, 2, b'c', b'n'], long(0x31, &[4, 0].repeat(count))].concat();
            [vec![4, 0], long(0x30, &long(0x30, &attribute))].concat()
        };
        let decoded = |body: &[u8], wanted: &str| decode(body, &[wanted.to_owned()], &[], &mut [Vec::new()]).map(drop);
        assert_eq!(decoded(&with(VALUES_CAP), "cn"), Ok(()));
        assert!(matches!(decoded(&with(VALUES_CAP + 1), "cn"), Err(BerError::TooMany { .. })));
        assert_eq!(decoded(&with(VALUES_CAP + 1), "mail"), Ok(()), "what is not wanted costs nothing");
    }

    proptest! {
        #[test]
        fn no_mutation_makes_it_panic(place in 0..60_usize, byte in any::<u8>(), cut in 0..80_usize) {
            let mut body = entry();
            body[place] = byte;
            body.truncate(cut);
            let _ = decode(&body, &["cn".to_owned(), "mail".to_owned()], &[], &mut [Vec::new(), Vec::new()]);
        }
    }
}
