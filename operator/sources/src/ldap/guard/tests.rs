//! What becomes of good answers of which single bytes are others than the server sent.

use super::fuzzing::{Taken, take};
use super::message::Request;

/// What a server answered to a search: an entry with bytes and a range among its values, a continuation reference, and
/// the end with the cookie of the next page.
const ANSWERS: [&[u8]; 3] = [
    b"\x30\x5d\x02\x01\x01\x64\x58\x04\x04cn=a\x30\x50\
      \x30\x18\x04\x0aobjectGUID\x31\x0a\x04\x08\x00\x01\x02\x03\xff\xfe\xfd\xfc\
      \x30\x0e\x04\x04mail\x31\x06\x04\x04a@xy\
      \x30\x24\x04\x10member;range=0-1\x31\x10\x04\x06cn=b,x\x04\x06cn=c,x",
    b"\x30\x1e\x02\x01\x01\x73\x19\x04\x17ldap://other/dc=x??base",
    b"\x30\x38\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x2a\x30\x28\x04\x161.2.840.113556.1.4.319\
      \x01\x01\xff\x04\x0b\x30\x09\x02\x01\x00\x04\x04next",
];

#[test]
fn a_hundred_thousand_mutations_of_good_answers_are_errors_or_answers() {
    let good = ANSWERS.concat();
    let taken = take(Request::Search, [good.as_slice()]);
    let [Taken::Range(..), Taken::Entry(..), Taken::Reference(_), Taken::Forwarded(end)] = taken.as_slice() else {
        panic!("{taken:?}");
    };
    assert_eq!(end, ANSWERS[2]);

    // A linear congruential generator (Knuth's MMIX): the same mutations at every run.
    let mut state = 0x5eed_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..100_000 {
        let mut bytes = good.clone();
        for _ in 0..=next(3) {
            let place = next(bytes.len());
            match next(4) {
                0 => bytes.truncate(place.max(1)),
                1 => bytes.insert(place, u8::try_from(next(256)).unwrap()),
                2 => {
                    bytes.remove(place);
                }
                _ => bytes[place] = u8::try_from(next(256)).unwrap(),
            }
            if bytes.is_empty() {
                bytes.push(0x30);
            }
        }
        match take(Request::Search, [bytes.as_slice()]).last() {
            Some(Taken::Refused(_)) => refused += 1,
            _ => taken += 1,
        }
    }
    assert!(refused > 10_000 && taken > 10_000, "{refused} refused, {taken} taken");
}
