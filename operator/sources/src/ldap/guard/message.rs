//! Whether a message is an answer that the LDAP library can take: it panics on what has another structure than
//! RFC 4511 §4 gives it, and waits for ever where lengths do not add up.

use crate::ldap::ber::{self, BerError, Reader};

/// How deeply the values of a message may be nested; RFC 4511 needs six.
const NESTING_CAP: usize = 16;

/// Most servers that one referral may name.
const REFERENCE_CAP: usize = 100;

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
        ber::check_nesting::<NESTING_CAP>(message)?;
        return Err(BerError::Invalid("a message without an id or an operation"));
    };
    if id == 0 && operation.tag == EXTENDED_RESPONSE {
        return Ok(Answer::Disconnection);
    }
    let Some((expected, request)) = outstanding else {
        ber::check_nesting::<NESTING_CAP>(message)?;
        return Err(BerError::Invalid("an answer before anything was asked"));
    };
    if id != expected {
        return Err(BerError::Invalid("an answer to something that was not asked"));
    }
    // Entries are decoded here, without recursion, and controls of theirs are not used.
    match (request, operation.tag) {
        (Request::Search, SEARCH_ENTRY) => return Ok(Answer::Entry(operation.body)),
        (Request::Search, SEARCH_REFERENCE) => return Ok(Answer::Reference(operation.body)),
        _ => ber::check_nesting::<NESTING_CAP>(message)?,
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

fn check_controls(controls: &[u8]) -> Result<(), BerError> {
    let mut controls = Reader::new(controls);
    while !controls.is_empty() {
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
    let mut all = vec![urls.text(ber::OCTET_STRING)?];
    while !urls.is_empty() {
        all.push(urls.text(ber::OCTET_STRING)?);
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
