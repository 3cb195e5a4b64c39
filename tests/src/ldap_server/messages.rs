//! Messages of a server, in BER (RFC 4511 §4).

/// `BindRequest`.
pub const BIND_REQUEST: u8 = 0x60;
/// `BindResponse`.
pub const BIND_RESPONSE: u8 = 0x61;
/// `SearchRequest`.
pub const SEARCH_REQUEST: u8 = 0x63;
/// `SearchResultEntry`.
pub const SEARCH_ENTRY: u8 = 0x64;
/// `SearchResultDone`.
pub const SEARCH_DONE: u8 = 0x65;
/// `SearchResultReference`.
pub const SEARCH_REFERENCE: u8 = 0x73;
/// `ExtendedResponse`.
pub const EXTENDED_RESPONSE: u8 = 0x78;

/// A value: its tag, its length, and its parts one after the other.
pub fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut value = header(tag, body.len());
    value.extend(body);
    value
}

/// The tag and the length of a value.
fn header(tag: u8, length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(length) if length < 0x80 => vec![tag, length],
        _ => [&[tag, 0x84], &u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()[..]].concat(),
    }
}

/// A message with an operation and, where given, a control list.
pub fn message(id: u8, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    value(0x30, &[&[2, 1, id], operation, controls])
}

/// A result of an operation.
pub fn result(id: u8, tag: u8, code: u8, text: &str) -> Vec<u8> {
    message(id, &value(tag, &[&[10, 1, code, 4, 0], &value(4, &[text.as_bytes()])]), &[])
}

/// The end of a search, with the cookie of the next page where the server pages (RFC 2696).
pub fn done(id: u8, code: u8, cookie: Option<&[u8]>) -> Vec<u8> {
    let controls = cookie.map(|cookie| {
        let paged = value(0x30, &[&[2, 1, 0], &value(4, &[cookie])]);
        paged_control(&paged)
    });
    message(id, &value(SEARCH_DONE, &[&[10, 1, code, 4, 0, 4, 0]]), &controls.unwrap_or_default())
}

/// A control list with the paged results control holding this value.
pub fn paged_control(content: &[u8]) -> Vec<u8> {
    let control = value(0x30, &[&value(4, &[b"1.2.840.113556.1.4.319"]), &value(4, &[content])]);
    value(0xa0, &[&control])
}

/// The end of a search by a referral.
pub fn referral(id: u8, url: &str) -> Vec<u8> {
    let urls = value(0xa3, &[&value(4, &[url.as_bytes()])]);
    message(id, &value(SEARCH_DONE, &[&[10, 1, 10, 4, 0, 4, 0], &urls]), &[])
}

/// A continuation reference.
pub fn reference(id: u8, url: &str) -> Vec<u8> {
    message(id, &value(SEARCH_REFERENCE, &[&value(4, &[url.as_bytes()])]), &[])
}

/// An entry with attributes of one value each.
pub fn entry(id: u8, name: &[u8], attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let attributes: Vec<_> = attributes
        .iter()
        .map(|(kind, content)| value(0x30, &[&value(4, &[kind.as_bytes()]), &value(0x31, &[&value(4, &[content])])]))
        .collect();
    let attributes: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
    message(id, &value(SEARCH_ENTRY, &[&value(4, &[name]), &value(0x30, &attributes)]), &[])
}

/// A group with a part of its members: the values of an attribute such as `member;range=0-1499`, and what the server
/// counts changes by.
pub fn group(id: u8, name: &str, attribute: &str, members: &[&str], version: &str) -> Vec<u8> {
    let values: Vec<_> = members.iter().map(|member| value(4, &[member.as_bytes()])).collect();
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    let single = |kind: &str, content: &str| {
        value(0x30, &[&value(4, &[kind.as_bytes()]), &value(0x31, &[&value(4, &[content.as_bytes()])])])
    };
    let members = value(0x30, &[&value(4, &[attribute.as_bytes()]), &value(0x31, &values)]);
    let others = [single("entryUUID", name), single("cn", name), single("uSNChanged", version)].concat();
    let dn = format!("cn={name},ou=Groups,dc=example,dc=com");
    message(id, &value(SEARCH_ENTRY, &[&value(4, &[dn.as_bytes()]), &value(0x30, &[&members, &others])]), &[])
}

/// The root of the tree of a domain controller (RFC 4512 §5.1) that says its name.
pub fn domain_controller(id: u8, host: &str) -> Vec<u8> {
    entry(id, b"", &[("dnsHostName", host.as_bytes())])
}

/// A person whose id and address follow from the name.
pub fn person(id: u8, uid: &str) -> Vec<u8> {
    let name = format!("uid={uid},ou=People,dc=example,dc=com");
    let mail = format!("{uid}@example.com");
    entry(id, name.as_bytes(), &[("entryUUID", uid.as_bytes()), ("mail", mail.as_bytes())])
}

/// Sequences within sequences.
pub fn nested(depth: usize) -> Vec<u8> {
    let mut length = 0;
    let headers = (0..depth).map(|_| {
        let header = header(0x30, length);
        length += header.len();
        header
    });
    let from_inside: Vec<Vec<u8>> = headers.collect();
    from_inside.into_iter().rev().flatten().collect()
}

/// Length, message id and operation tag of the first request in `bytes`, if it is whole.
pub(super) fn parse_request(bytes: &[u8]) -> Option<(usize, u8, u8)> {
    let (head, length) = match *bytes.get(1)? {
        0x81 => (3, usize::from(*bytes.get(2)?)),
        0x82 => (4, usize::from(*bytes.get(2)?) << 8 | usize::from(*bytes.get(3)?)),
        length => (2, usize::from(length)),
    };
    let message = bytes.get(..head + length)?;
    Some((message.len(), *message.get(head + 2)?, *message.get(head + 3)?))
}
