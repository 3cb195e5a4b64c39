//! What becomes of good answers of which single bytes are others than the server sent, and of too much of them.

use super::fuzzing::{Everything, Taken, take};
use super::message::Request;
use super::*;
use crate::ldap::config::{Bind, Caps, LdapConfig};
use answers::Step;
use directory_sync_core::mapping::{UserMapping, UserMappingSpec, Value};

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

/// A guard of a connection on which nothing comes, and the library's end.
pub(in crate::ldap) async fn guard() -> (Guard, StdUnixStream) {
    let attribute = |name: &str| Some(Value::Attribute(name.to_owned()));
    let spec = UserMappingSpec { id: attribute("id"), email: attribute("mail"), ..UserMappingSpec::default() };
    let mapping = Arc::new(UserMapping::compile(&spec).unwrap());
    let config = LdapConfig::new(vec!["ldaps://localhost".to_owned()], Bind::Anonymous, mapping);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let server = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (ours, library) = StdUnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let guard = Guard {
        url: "ldaps://localhost".to_owned(),
        idle: config.timeouts.idle,
        message_bytes: config.caps.message_bytes,
        server: Box::new(server),
        client: UnixStream::from_std(ours).unwrap(),
        requests: Vec::new(),
        answers: Answers::new("ldaps://localhost".to_owned(), config.caps, Arc::default()),
        due: Instant::now(),
        client_gone: false,
    };
    (guard, library)
}

/// Hands the bytes over as the answer to a search.
fn answer(answers: &mut Answers, bytes: &[u8]) -> Result<Step, LdapError> {
    answers.bytes = bytes.to_vec();
    answers.are_for(1, Request::Search);
    answers.decode(&mut 0, &mut Everything::new())
}

fn problem(outcome: Result<Step, LdapError>) -> String {
    match outcome {
        Err(LdapError::CapExceeded { problem, .. }) => problem,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[test]
fn entries_and_references_of_a_page_have_caps_on_their_number_and_their_bytes() {
    let caps = Caps { page_entries: 10, page_bytes: 1 << 16, ..Caps::default() };
    let mut answers = Answers::new("ldaps://localhost".to_owned(), caps, Arc::default());
    for message in [ANSWERS[0], ANSWERS[1]] {
        assert!(answer(&mut answers, &message.repeat(10)).is_ok());
        assert_eq!(problem(answer(&mut answers, &message.repeat(11))), "more than 10 entries in one page");
        answers.caps.page_bytes = message.len() * 3;
        assert!(answer(&mut answers, &message.repeat(3)).is_ok());
        let over = format!("more than {} bytes in one page", message.len() * 3);
        assert_eq!(problem(answer(&mut answers, &message.repeat(4))), over);
        answers.caps.page_bytes = 1 << 16;
    }
}

#[test]
fn what_comes_page_after_page_has_caps_as_well() {
    // An entry has four values that are wanted, a range among them.
    for (caps, what) in [
        (Caps { total_entries: 4, ..Caps::default() }, "4 entries"),
        (Caps { total_bytes: 400, ..Caps::default() }, "400 bytes"),
        (Caps { total_values: 16, ..Caps::default() }, "16 values"),
    ] {
        let mut answers = Answers::new("ldaps://localhost".to_owned(), caps, Arc::default());
        for _ in 0..4 {
            assert!(answer(&mut answers, ANSWERS[0]).is_ok(), "{what}");
        }
        assert_eq!(problem(answer(&mut answers, ANSWERS[0])), format!("more than {what} in one read"));
    }
}
