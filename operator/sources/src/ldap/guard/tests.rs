//! What becomes of good answers of which single bytes are others than the server sent, and of too much of them.

use super::*;
use crate::ldap::config::{Bind, LdapConfig};
use directory_sync_core::mapping::{UserMapping, UserMappingSpec, Value};

/// What a server answered to a search: an entry with bytes and a range among its values, a continuation reference, and
/// the end with the cookie of the next page.
const ANSWERS: [&[u8]; 3] = [
    b"\x30\x5d\x02\x01\x02\x64\x58\x04\x04cn=a\x30\x50\
      \x30\x18\x04\x0aobjectGUID\x31\x0a\x04\x08\x00\x01\x02\x03\xff\xfe\xfd\xfc\
      \x30\x0e\x04\x04mail\x31\x06\x04\x04a@xy\
      \x30\x24\x04\x10member;range=0-1\x31\x10\x04\x06cn=b,x\x04\x06cn=c,x",
    b"\x30\x1e\x02\x01\x02\x73\x19\x04\x17ldap://other/dc=x??base",
    b"\x30\x38\x02\x01\x02\x65\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x2a\x30\x28\x04\x161.2.840.113556.1.4.319\
      \x01\x01\xff\x04\x0b\x30\x09\x02\x01\x00\x04\x04next",
];

/// Takes everything.
struct Everything {
    wanted: [String; 3],
    entries: usize,
    ranges: usize,
    references: usize,
}

impl EntrySink for Everything {
    fn attributes(&self) -> &[String] {
        &self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        assert_eq!(entry.values.len(), self.wanted.len());
        self.entries += 1;
        Ok(())
    }

    fn range(&mut self, _: &str, _: &[&[u8]]) -> bool {
        self.ranges += 1;
        self.ranges.is_multiple_of(2)
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references += targets.len();
        Ok(())
    }
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
        caps: Caps { message_bytes: 1 << 16, page_entries: 10, page_bytes: 1 << 16, ..config.caps },
        totals: Arc::default(),
        syntaxes: Arc::default(),
        server: Box::new(server),
        client: UnixStream::from_std(ours).unwrap(),
        requests: Vec::new(),
        answers: Vec::new(),
        outstanding: None,
        due: Instant::now(),
        page_entries: 0,
        page_bytes: 0,
        client_gone: false,
    };
    (guard, library)
}

/// Hands the bytes to the guard as the answer to a search; gives what it took from them.
fn answer(guard: &mut Guard, bytes: &[u8]) -> (Everything, Result<Step, LdapError>) {
    let wanted = ["objectGUID", "mail", "member"].map(str::to_owned);
    let mut sink = Everything { wanted, entries: 0, ranges: 0, references: 0 };
    guard.answers = bytes.to_vec();
    guard.outstanding = Some((2, Request::Search));
    (guard.page_entries, guard.page_bytes) = (0, 0);
    let outcome = guard.decode(&mut 0, &mut sink);
    (sink, outcome)
}

#[tokio::test]
async fn a_hundred_thousand_mutations_of_good_answers_are_errors_or_answers() {
    let (mut guard, _library) = guard().await;
    let good = ANSWERS.concat();
    let (sink, outcome) = answer(&mut guard, &good);
    assert_eq!((sink.entries, sink.ranges, sink.references), (1, 1, 1));
    assert!(matches!(outcome, Ok(Step::Forward(range)) if good.get(range.clone()) == Some(ANSWERS[2])));

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
        let (sink, outcome) = answer(&mut guard, &bytes);
        assert!(sink.entries <= 10 && sink.references <= 100);
        match outcome {
            Ok(_) => taken += 1,
            Err(LdapError::Malformed { .. } | LdapError::CapExceeded { .. } | LdapError::ConnectionLost { .. }) => {
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 10_000 && taken > 10_000, "{refused} refused, {taken} taken");
}

fn problem(outcome: Result<Step, LdapError>) -> String {
    match outcome {
        Err(LdapError::CapExceeded { problem, .. }) => problem,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[tokio::test]
async fn entries_and_references_of_a_page_have_caps_on_their_number_and_their_bytes() {
    let (mut guard, _library) = guard().await;
    for message in [ANSWERS[0], ANSWERS[1]] {
        assert!(answer(&mut guard, &message.repeat(10)).1.is_ok());
        assert_eq!(problem(answer(&mut guard, &message.repeat(11)).1), "more than 10 entries in one page");
        guard.caps.page_bytes = message.len() * 3;
        assert!(answer(&mut guard, &message.repeat(3)).1.is_ok());
        let over = format!("more than {} bytes in one page", message.len() * 3);
        assert_eq!(problem(answer(&mut guard, &message.repeat(4)).1), over);
        guard.caps.page_bytes = 1 << 16;
    }
}

#[tokio::test]
async fn what_comes_page_after_page_has_caps_as_well() {
    // An entry has four values that are wanted, a range among them.
    for (caps, what) in [
        (Caps { total_entries: 4, ..Caps::default() }, "4 entries"),
        (Caps { total_bytes: 400, ..Caps::default() }, "400 bytes"),
        (Caps { total_values: 16, ..Caps::default() }, "16 values"),
    ] {
        let (mut guard, _library) = guard().await;
        guard.caps = caps;
        for _ in 0..4 {
            assert!(answer(&mut guard, ANSWERS[0]).1.is_ok(), "{what}");
        }
        assert_eq!(problem(answer(&mut guard, ANSWERS[0]).1), format!("more than {what} in one read"));
    }
}
