//! Whether a message is an answer that the LDAP library can take: it panics on what has another structure than
//! RFC 4511 §4 gives it, and waits for ever where lengths do not add up.

use crate::ldap::ber::{self, BerError, Reader};

/// How deeply the values of a message may be nested; RFC 4511 needs six.
const NESTING_CAP: usize = 16;

/// Most servers that one referral may name.
const REFERENCE_CAP: usize = 100;

/// Longest URL of a referral, in bytes.
const URL_CAP: usize = 8 * 1024;

/// Most bytes of a message that is no entry. The library makes a tree of it, many times as large.
const OTHER_CAP: usize = 1 << 20;

/// Most controls of one message; servers send one or two.
const CONTROLS_CAP: usize = 16;

const BIND_RESPONSE: u8 = 0x61;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_RESPONSE: u8 = 0x78;
const CONTROLS: u8 = 0xa0;
const REFERRAL: u8 = 0xa3;
const SASL_CREDENTIALS: u8 = 0x87;
const RESPONSE_NAME: u8 = 0x8a;
const RESPONSE_VALUE: u8 = 0x8b;

/// What was asked and not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// `BindRequest`.
    Bind,
    /// `SearchRequest`.
    Search,
    /// `ExtendedRequest`.
    Extended,
}

impl Request {
    /// The kind of request by the tag of its operation; `None` for one without an answer.
    pub(super) fn of(tag: u8) -> Option<Self> {
        match tag {
            0x60 => Some(Self::Bind),
            0x63 => Some(Self::Search),
            0x77 => Some(Self::Extended),
            _ => None,
        }
    }
}

/// A message that may be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'m> {
    /// The contents of a `SearchResultEntry`.
    Entry(&'m [u8]),
    /// The URLs of a `SearchResultReference`.
    Reference(&'m [u8]),
    /// The final answer to a request.
    Result(LdapResult<'m>),
    /// A Notice of Disconnection (RFC 4511 §4.4.1).
    Disconnection,
}

/// The parts of an `LDAPResult` (RFC 4511 §4.1.9) that are used here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LdapResult<'m> {
    /// Result code.
    pub(super) code: u32,
    /// Diagnostic message.
    pub(super) text: &'m str,
}

/// Message id and operation tag of one of our own requests.
pub(super) fn request(message: &[u8]) -> Result<(u32, u8), BerError> {
    let mut body = Reader::new(Reader::new(message).take(ber::SEQUENCE)?);
    Ok((body.number(ber::INTEGER)?, body.any()?.tag))
}

/// Checks a whole message against the request that it has to answer.
pub(super) fn check(message: &[u8], outstanding: Option<(u32, Request)>) -> Result<Answer<'_>, BerError> {
    let mut body = Reader::new(Reader::new(message).take(ber::SEQUENCE)?);
    let id = body.number(ber::INTEGER);
    let operation = body.any();
    let Ok((id, operation)) = id.and_then(|id| operation.map(|operation| (id, operation))) else {
        check_size(message)?;
        return Err(BerError::Invalid("a message without an id or an operation"));
    };
    if id == 0 && operation.tag == EXTENDED_RESPONSE {
        return Ok(Answer::Disconnection);
    }
    let Some((expected, request)) = outstanding else {
        check_size(message)?;
        return Err(BerError::Invalid("an answer before anything was asked"));
    };
    if id != expected {
        return Err(BerError::Invalid("an answer to something that was not asked"));
    }
    // Entries are decoded here, without recursion, and controls of theirs are not used.
    match (request, operation.tag) {
        (Request::Search, SEARCH_ENTRY) => return Ok(Answer::Entry(operation.body)),
        (Request::Search, SEARCH_REFERENCE) => return Ok(Answer::Reference(operation.body)),
        _ => check_size(message)?,
    }
    if let Some(controls) = body.take_if(CONTROLS)? {
        check_controls(controls)?;
    }
    if !body.is_empty() {
        return Err(BerError::Invalid("a message with superfluous parts"));
    }
    match (request, operation.tag) {
        (Request::Bind, BIND_RESPONSE) | (Request::Search, SEARCH_DONE) | (Request::Extended, EXTENDED_RESPONSE) => {
            result(operation.body).map(Answer::Result)
        }
        _ => Err(BerError::Invalid("an answer of another kind than was asked for")),
    }
}

/// Whether the library may be given so much.
fn check_size(message: &[u8]) -> Result<(), BerError> {
    if message.len() > OTHER_CAP {
        return Err(BerError::TooLarge { announced: message.len(), cap: OTHER_CAP });
    }
    ber::check_nesting::<NESTING_CAP>(message)
}

fn check_controls(controls: &[u8]) -> Result<(), BerError> {
    let mut controls = Reader::new(controls);
    let mut count = 0;
    while !controls.is_empty() {
        count += 1;
        if count > CONTROLS_CAP {
            return Err(BerError::TooMany { what: "controls", cap: CONTROLS_CAP });
        }
        let mut control = Reader::new(controls.take(ber::SEQUENCE)?);
        control.text(ber::OCTET_STRING)?;
        if control.take_if(ber::BOOLEAN)?.is_some_and(<[u8]>::is_empty) {
            return Err(BerError::Invalid("an empty truth value"));
        }
        control.take_if(ber::OCTET_STRING)?;
        if !control.is_empty() {
            return Err(BerError::Invalid("a control with superfluous parts"));
        }
    }
    Ok(())
}

fn result(body: &[u8]) -> Result<LdapResult<'_>, BerError> {
    let mut parts = Reader::new(body);
    let code = parts.number(ber::ENUMERATED)?;
    parts.text(ber::OCTET_STRING)?;
    let text = parts.text(ber::OCTET_STRING)?;
    while !parts.is_empty() {
        let part = parts.any()?;
        match part.tag {
            REFERRAL => {
                references(part.body)?;
            }
            RESPONSE_NAME => {
                std::str::from_utf8(part.body).map_err(|_| BerError::Invalid("text that is not UTF-8"))?;
            }
            SASL_CREDENTIALS | RESPONSE_VALUE => {}
            // The library goes by the number alone.
            tag if matches!(tag & 0x1f, 3 | 7 | 10 | 11) => {
                return Err(BerError::Invalid("a result with foreign parts"));
            }
            _ => {}
        }
    }
    Ok(LdapResult { code, text })
}

/// The URLs of a referral, any of which may be asked.
pub(super) fn references(body: &[u8]) -> Result<Vec<&str>, BerError> {
    let mut urls = Reader::new(body);
    let mut all = Vec::new();
    // There is at least one.
    while all.is_empty() || !urls.is_empty() {
        let url = urls.text(ber::OCTET_STRING)?;
        if url.len() > URL_CAP {
            return Err(BerError::Invalid("a referral with a very long URL"));
        }
        all.push(url);
        if all.len() > REFERENCE_CAP {
            return Err(BerError::Invalid("a referral to very many servers"));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BIND_OK: &[u8] = &[0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, 0, 4, 0, 4, 0];

    #[test]
    fn an_answer_to_the_outstanding_request_is_taken() {
        let answer = check(BIND_OK, Some((1, Request::Bind)));
        assert_eq!(answer, Ok(Answer::Result(LdapResult { code: 0, text: "" })));
    }

    #[test]
    fn answers_that_nobody_asked_for_are_refused() {
        assert!(check(BIND_OK, None).is_err());
        assert!(check(BIND_OK, Some((2, Request::Bind))).is_err());
        assert!(check(BIND_OK, Some((1, Request::Search))).is_err());
    }

    #[test]
    fn messages_that_make_the_library_panic_are_refused() {
        for message in [
            &[0x30, 0][..],
            &[0x30, 3, 2, 1, 1],
            &[0x30, 5, 2, 1, 1, 0x61, 0],
            &[0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, 0, 4, 1, 0xff, 4],
            &[0x30, 5, 4, 1, 1, 0x61, 0],
            &[0x30, 14, 2, 1, 1, 0x61, 9, 10, 1, 0, 4, 0, 4, 0, 0x83, 0],
            &[0x30, 14, 2, 1, 1, 0x61, 7, 10, 1, 0, 4, 0, 4, 0, 0xa0, 9],
        ] {
            assert!(check(message, Some((1, Request::Bind))).is_err(), "{message:?}");
        }
    }

    /// A value with a length of four octets.
    fn long(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[tag, 0x84], &u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
    }

    #[test]
    fn what_the_library_makes_a_tree_of_is_small() {
        let done = |text: &[u8], controls: &[u8]| {
            let result = long(SEARCH_DONE, &[&[10, 1, 0, 4, 0][..], &long(4, text)].concat());
            let controls = if controls.is_empty() { Vec::new() } else { long(CONTROLS, controls) };
            long(ber::SEQUENCE, &[&[2, 1, 1][..], &result, &controls].concat())
        };
        let checked = |message: &[u8]| check(message, Some((1, Request::Search))).map(drop);
        assert_eq!(checked(&done(&vec![b'x'; 1000], &[])), Ok(()));
        assert!(matches!(checked(&done(&vec![b'x'; OTHER_CAP], &[])), Err(BerError::TooLarge { .. })));
        let control: &[u8] = &[0x30, 3, 4, 1, b'1'];
        assert_eq!(checked(&done(b"", &control.repeat(CONTROLS_CAP))), Ok(()));
        assert!(matches!(checked(&done(b"", &control.repeat(CONTROLS_CAP + 1))), Err(BerError::TooMany { .. })));
    }

    #[test]
    fn referrals_have_few_and_short_urls() {
        let url = |length: usize| long(4, &vec![b'u'; length]);
        assert_eq!(references(&url(URL_CAP)).unwrap().len(), 1);
        assert!(references(&url(URL_CAP + 1)).is_err() && references(&[]).is_err());
        assert!(references(&url(1).repeat(REFERENCE_CAP)).is_ok());
        assert!(references(&url(1).repeat(REFERENCE_CAP + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_mutation_of_a_message_makes_it_panic(place in 0..BIND_OK.len(), byte in any::<u8>(), cut in 0..15_usize) {
            let mut message = BIND_OK.to_vec();
            message[place] = byte;
            message.truncate(cut);
            let _ = check(&message, Some((1, Request::Bind)));
            let _ = check(&message, Some((1, Request::Search)));
        }
    }
}
