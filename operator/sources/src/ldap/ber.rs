//! The part of BER that LDAP uses (RFC 4511 §5.1): definite lengths, one-octet tags. Nothing here allocates or recurses.

/// `SEQUENCE`, also every LDAP message.
pub(super) const SEQUENCE: u8 = 0x30;
/// `SET`.
pub(super) const SET: u8 = 0x31;
/// `BOOLEAN`.
pub(super) const BOOLEAN: u8 = 0x01;
/// `INTEGER`.
pub(super) const INTEGER: u8 = 0x02;
/// `OCTET STRING`.
pub(super) const OCTET_STRING: u8 = 0x04;
/// `ENUMERATED`.
pub(super) const ENUMERATED: u8 = 0x0a;

/// Most values of a message that is handed to the library, which makes a tree of them.
const VALUES_CAP: usize = 10_000;

const CONSTRUCTED: u8 = 0x20;
/// In the low five bits: the tag goes on in further octets, which LDAP never uses.
const LONG_TAG: u8 = 0x1f;

/// Why bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BerError {
    /// A message announces more bytes than the cap.
    #[error("a message of {announced} bytes, more than the cap of {cap}")]
    TooLarge {
        /// The announced length.
        announced: usize,
        /// The cap.
        cap: usize,
    },
    /// Values are nested more deeply than the cap.
    #[error("values nested more than {cap} deep")]
    TooDeep {
        /// The cap.
        cap: usize,
    },
    /// There are more parts than the cap.
    #[error("more than {cap} {what} in one message")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The cap.
        cap: usize,
    },
    /// Not the BER of an LDAP message.
    #[error("{0}")]
    Invalid(&'static str),
}

/// A value with its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The identifier octet.
    pub(super) tag: u8,
    /// The contents.
    pub(super) body: &'a [u8],
}

/// Tag, length of the header and length of the contents; `None` while the header is not whole.
fn header(input: &[u8]) -> Result<Option<(u8, usize, usize)>, BerError> {
    let Some((&tag, rest)) = input.split_first() else { return Ok(None) };
    if tag & LONG_TAG == LONG_TAG {
        return Err(BerError::Invalid("a tag of several octets"));
    }
    let Some((&first, rest)) = rest.split_first() else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((tag, 2, usize::from(first))));
    }
    let octets = usize::from(first & 0x7f);
    if octets == 0 || octets > 4 {
        return Err(BerError::Invalid("a length that LDAP does not allow"));
    }
    let Some(length) = rest.get(..octets) else { return Ok(None) };
    let length = length.iter().fold(0_usize, |length, &octet| length << 8 | usize::from(octet));
    Ok(Some((tag, 2 + octets, length)))
}

/// Length of the first message in `input` with its header, `None` while it is not whole. A message over `cap` is
/// refused as soon as its length is known.
pub(super) fn frame(input: &[u8], cap: usize) -> Result<Option<usize>, BerError> {
    if input.first().is_some_and(|&tag| tag != SEQUENCE) {
        return Err(BerError::Invalid("something that does not begin like an LDAP message"));
    }
    let Some((_, head, length)) = header(input)? else { return Ok(None) };
    if length > cap {
        return Err(BerError::TooLarge { announced: length, cap });
    }
    Ok(Some(head + length).filter(|&total| total <= input.len()))
}

/// Checks that every constructed value is filled exactly by its parts, that none lies deeper than `CAP`, and that they
/// are not very many.
pub(super) fn check_nesting<const CAP: usize>(message: &[u8]) -> Result<(), BerError> {
    let mut open = [0_usize; CAP];
    let mut depth = 0;
    let mut values = 0;
    let mut rest = message;
    while !rest.is_empty() {
        values += 1;
        if values > VALUES_CAP {
            return Err(BerError::TooMany { what: "values", cap: VALUES_CAP });
        }
        let (tag, head, length) = header(rest)?.ok_or(BerError::Invalid("a value that is cut off"))?;
        let end = rest.len().checked_sub(head + length).ok_or(BerError::Invalid("a value longer than its message"))?;
        if depth > 0 && open.get(depth - 1).is_some_and(|&outer| end < outer) {
            return Err(BerError::Invalid("a value longer than the one around it"));
        }
        let skip = if tag & CONSTRUCTED == 0 { head + length } else { head };
        if tag & CONSTRUCTED != 0 {
            *open.get_mut(depth).ok_or(BerError::TooDeep { cap: CAP })? = end;
            depth += 1;
        }
        rest = rest.get(skip..).unwrap_or_default();
        while depth > 0 && open.get(depth - 1).is_some_and(|&outer| outer == rest.len()) {
            depth -= 1;
        }
    }
    Ok(())
}

/// Takes values one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads the contents of a value.
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever its tag.
    pub(super) fn any(&mut self) -> Result<Element<'a>, BerError> {
        let (tag, head, length) = header(self.0)?.ok_or(BerError::Invalid("a value that is missing"))?;
        let end = head + length;
        let body = self.0.get(head..end).ok_or(BerError::Invalid("a value that is cut off"))?;
        self.0 = self.0.get(end..).unwrap_or_default();
        Ok(Element { tag, body })
    }

    /// The contents of the next value, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], BerError> {
        let element = self.any()?;
        if element.tag == tag { Ok(element.body) } else { Err(BerError::Invalid("a value of an unexpected kind")) }
    }

    /// The contents of the next value if it has this tag.
    pub(super) fn take_if(&mut self, tag: u8) -> Result<Option<&'a [u8]>, BerError> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// The next value as text.
    pub(super) fn text(&mut self, tag: u8) -> Result<&'a str, BerError> {
        std::str::from_utf8(self.take(tag)?).map_err(|_| BerError::Invalid("text that is not UTF-8"))
    }

    /// The next value as a number from 0 to 2³¹ − 1 (RFC 4511 §4.1.1).
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, BerError> {
        let body = self.take(tag)?;
        if body.is_empty() || body.len() > 4 || body.first().is_some_and(|&octet| octet >= 0x80) {
            return Err(BerError::Invalid("a number out of range"));
        }
        Ok(body.iter().fold(0, |number, &octet| number << 8 | u32::from(octet)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_framed_when_it_is_whole() {
        assert_eq!(frame(&[0x30, 0x03, 2, 1], 100), Ok(None));
        assert_eq!(frame(&[0x30, 0x03, 2, 1, 1, 9], 100), Ok(Some(5)));
        assert_eq!(frame(&[0x30, 0x84, 0, 0, 0, 1, 5], 100), Ok(Some(7)));
    }

    #[test]
    fn an_announced_length_over_the_cap_is_refused_before_the_bytes_come() {
        assert!(matches!(frame(&[0x30, 0x84, 0x19, 0, 0, 0], 1 << 26), Err(BerError::TooLarge { .. })));
    }

    #[test]
    fn indefinite_and_oversized_lengths_and_foreign_tags_are_refused() {
        for wrong in [&[0x30, 0x80][..], &[0x30, 0x85, 0, 0, 0, 0, 1], &[0x16, 3], b"HTTP/1.1"] {
            assert!(frame(wrong, 1 << 26).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_must_add_up() {
        let nested = |depth: usize| {
            (0..depth).fold(Vec::new(), |inner: Vec<u8>, _| {
                let mut outer = vec![0x30, u8::try_from(inner.len()).unwrap()];
                outer.extend(inner);
                outer
            })
        };
        assert_eq!(check_nesting::<16>(&nested(16)), Ok(()));
        assert_eq!(check_nesting::<16>(&nested(17)), Err(BerError::TooDeep { cap: 16 }));
        assert!(check_nesting::<16>(&[0x30, 3, 0x30, 2, 4, 0]).is_err());
        assert!(check_nesting::<16>(&[0x30, 4, 0x30, 1, 4, 0]).is_err());
    }

    #[test]
    fn a_message_of_very_many_values_is_refused() {
        let flat = |count: usize| {
            let length = u16::try_from(count * 2).unwrap().to_be_bytes();
            [&[0x30, 0x82], &length[..], &[4, 0].repeat(count)].concat()
        };
        assert_eq!(check_nesting::<16>(&flat(VALUES_CAP - 1)), Ok(()));
        assert_eq!(check_nesting::<16>(&flat(VALUES_CAP)), Err(BerError::TooMany { what: "values", cap: VALUES_CAP }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = frame(&bytes, 1 << 20);
            let _ = check_nesting::<16>(&bytes);
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() && reader.any().is_ok() {}
        }
    }
}
