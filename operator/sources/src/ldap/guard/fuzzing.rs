//! What has to hold for whatever bytes a server sends.

use super::EntrySink;
use super::answers::{Answers, Step};
use super::entry;
use super::message::{self, Answer, Request};
use crate::ldap::LdapError;
use crate::ldap::config::Caps;
use crate::ldap::syntax::Syntax;
use directory_sync_core::mapping::{Entry, UserMapping, UserMappingSpec, Value, same_attribute};
use directory_sync_core::snapshot::UserRecord;
use ldap3::exop::WhoAmI;
use ldap3::{LdapConnAsync, LdapConnSettings, Scope, StdStream};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// Small, so that small inputs reach them.
const MESSAGE_BYTES: usize = 512;
const PAGE_ENTRIES: usize = 8;
const PAGE_BYTES: usize = 2048;
/// Longest header of a message: tag, length of the length, length.
const HEADER_BYTES: usize = 6;
/// The library's first request has this id.
const ID: u32 = 1;
/// How long the library may take for a message that is already there.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was made of some of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// An entry: its name, and the values of every wanted attribute.
    Entry(String, Vec<Vec<Vec<u8>>>),
    /// A range of the values of an attribute.
    Range(String, Vec<Vec<u8>>),
    /// A continuation reference.
    Reference(Vec<String>),
    /// A message for the library.
    Forwarded(Vec<u8>),
    /// The end: why the rest is not taken.
    Refused(String),
}

/// Takes everything, in its order.
pub(super) struct Everything {
    wanted: Vec<String>,
    taken: Vec<Taken>,
}

impl Everything {
    /// Nothing yet; a few attributes are wanted.
    pub(super) fn new() -> Self {
        Self { wanted: ["objectGUID", "mail", "member"].map(str::to_owned).to_vec(), taken: Vec::new() }
    }
}

impl EntrySink for Everything {
    fn attributes(&self) -> &[String] {
        &self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let values = entry.values.iter().map(|values| owned(values)).collect();
        self.taken.push(Taken::Entry(entry.name.to_owned(), values));
        Ok(())
    }

    fn range(&mut self, description: &str, values: &[&[u8]]) -> bool {
        self.taken.push(Taken::Range(description.to_owned(), owned(values)));
        true
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.taken.push(Taken::Reference(targets.iter().map(|&target| target.to_owned()).collect()));
        Ok(())
    }
}

fn owned(values: &[&[u8]]) -> Vec<Vec<u8>> {
    values.iter().map(|value| value.to_vec()).collect()
}

/// What becomes of pieces that arrive one after the other as the answer to the library's first request.
pub(super) fn take<'p>(request: Request, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Taken> {
    let caps =
        Caps { message_bytes: MESSAGE_BYTES, page_entries: PAGE_ENTRIES, page_bytes: PAGE_BYTES, ..Caps::default() };
    let mut answers = Answers::new("ldaps://localhost".to_owned(), caps, Arc::default());
    answers.are_for(ID, request);
    let mut sink = Everything::new();
    for piece in pieces {
        answers.bytes.extend(piece);
        let mut used = 0;
        loop {
            match answers.decode(&mut used, &mut sink) {
                Ok(Step::Wait) => break,
                Ok(Step::Forward(range)) => {
                    let message = answers.bytes.get(range).unwrap_or_default().to_vec();
                    sink.taken.push(Taken::Forwarded(message));
                }
                Err(error) => {
                    let usual = matches!(
                        error,
                        LdapError::Malformed { .. } | LdapError::CapExceeded { .. } | LdapError::ConnectionLost { .. }
                    );
                    assert!(usual, "{error}");
                    sink.taken.push(Taken::Refused(error.to_string()));
                    return sink.taken;
                }
            }
        }
        answers.bytes.drain(..used);
        assert!(answers.bytes.len() < MESSAGE_BYTES + HEADER_BYTES, "more is kept than one message may have");
    }
    sink.taken
}

/// The first byte says what was asked, the second in which pieces the rest arrives.
///
/// # Panics
///
/// If it matters in which pieces it arrives, if more is taken than the caps allow, or if the library does not take what
/// is given to it.
pub(crate) fn framing(input: &[u8]) {
    let Some((&[request, piece], stream)) = input.split_first_chunk::<2>() else { return };
    let request = match request % 3 {
        0 => Request::Search,
        1 => Request::Bind,
        _ => Request::Extended,
    };
    let taken = take(request, [stream]);
    let in_pieces = take(request, stream.chunks(usize::from(piece).max(1)));
    assert_eq!(taken, in_pieces, "it matters in which pieces the bytes arrive");

    let mut entries = 0;
    let mut answered = false;
    for taken in taken {
        assert!(!answered || matches!(taken, Taken::Refused(_)), "something is taken after the answer");
        match taken {
            Taken::Entry(name, values) => {
                entries += 1;
                assert!(name.len() <= MESSAGE_BYTES && values.len() == 3);
            }
            Taken::Range(description, _) => {
                let attribute = description.split(';').next().unwrap_or_default();
                assert!(["objectGUID", "mail", "member"].iter().any(|wanted| same_attribute(wanted, attribute)));
            }
            Taken::Refused(_) => {}
            Taken::Reference(targets) => assert!((1..=100).contains(&targets.len())),
            Taken::Forwarded(message) => {
                assert!(message.len() <= MESSAGE_BYTES + HEADER_BYTES, "a message over the cap is given on");
                check_library(request, &message);
                answered = true;
            }
        }
    }
    assert!(entries <= PAGE_ENTRIES, "more entries are taken than a page may have");
}

thread_local! {
    static RUNTIME: Option<Runtime> = Builder::new_current_thread().enable_all().build().ok();
}

/// The library finds in a message what the guard found in it.
fn check_library(request: Request, message: &[u8]) {
    let checked = message::check(message, Some((ID, request)));
    let Ok(Answer::Result(checked)) = checked else { unreachable!("something else than a result was given on") };
    let found = RUNTIME.with(|runtime| Some(runtime.as_ref()?.block_on(ask_library(request, message))));
    assert!(
        matches!(&found, Some(Ok((code, text))) if (*code, text.as_str()) == (checked.code, checked.text)),
        "the library makes {found:?} of {checked:?}"
    );
}

/// Result code and diagnostic message of the library's first operation, to which the message is the answer.
async fn ask_library(request: Request, message: &[u8]) -> ldap3::result::Result<(u32, String)> {
    let (ours, library) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut ours = UnixStream::from_std(ours)?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(library));
    let (driver, mut ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await?;
    let operation = async {
        let result = match request {
            Request::Search => ldap.search("", Scope::Base, "(objectClass=*)", ["1.1"]).await?.1,
            Request::Bind => ldap.simple_bind("", "").await?,
            Request::Extended => ldap.extended(WhoAmI).await?.1,
        };
        Ok((result.rc, result.text))
    };
    let answer = async {
        ours.read_buf(&mut Vec::with_capacity(1024)).await?;
        ours.write_all(message).await?;
        std::future::pending::<std::io::Result<()>>().await
    };
    let ended = |how| Err(ldap3::LdapError::from(std::io::Error::other(how)));
    tokio::select! {
        biased;
        result = operation => result,
        Err(error) = answer => Err(error.into()),
        _ = driver.drive() => ended("the end of the connection"),
        () = tokio::time::sleep(PATIENCE) => ended("no end of waiting"),
    }
}

/// A mapping of usual attributes, the ones with bytes among them.
static MAPPING: LazyLock<Option<UserMapping>> = LazyLock::new(|| {
    let attribute = |name: &str| Value::Attribute(name.to_owned());
    let spec = UserMappingSpec {
        id: Some(attribute("objectGUID")),
        email: Some(attribute("mail")),
        aliases: vec![attribute("proxyAddresses")],
        given_name: Some(attribute("givenName")),
        ..UserMappingSpec::default()
    };
    UserMapping::compile(&spec).ok()
});

/// The input is the body of a `SearchResultEntry`.
///
/// # Panics
///
/// If values come from nowhere or depend on the order of the request, if a text for bytes stands for other bytes, or if
/// somebody is read who has no id.
pub(crate) fn entry(body: &[u8]) {
    let Some(mapping) = &*MAPPING else { unreachable!("the mapping is a valid one") };
    let further = ["member", "objectSid", "jpegPhoto"].map(str::to_owned);
    let wanted = [mapping.attributes(), &further].concat();
    let backwards: Vec<String> = wanted.iter().rev().cloned().collect();
    let (mut values, mut reversed) = (vec![Vec::new(); wanted.len()], vec![Vec::new(); wanted.len()]);
    let found = entry::decode(body, &wanted, &[], &mut values);
    let again = entry::decode(body, &backwards, &[], &mut reversed);
    let (found, again) = match (found, again) {
        (Ok(found), Ok(again)) => (found, again),
        (found, again) => {
            assert_eq!(found.err(), again.err(), "whether an entry is one depends on the order of the request");
            return;
        }
    };
    reversed.reverse();
    assert_eq!(values, reversed, "values depend on the order of the request");
    assert_eq!((found.name, &found.ranges), (again.name, &again.ranges));

    let all = || values.iter().flatten().chain(found.ranges.iter().flat_map(|(_, values)| values));
    let bytes: usize = all().map(|value| value.len()).sum();
    // Each has a tag and a length besides.
    assert!(found.name.len() + bytes + 2 * all().count() <= body.len(), "more was found than was sent");

    let syntaxes: Vec<Syntax> = wanted.iter().map(|name| Syntax::of(name)).collect();
    let Some(texts) = entry::texts(&syntaxes, &values) else { unreachable!("values with bytes are wanted") };
    for ((syntax, texts), values) in syntaxes.iter().zip(&texts).zip(&values) {
        assert_eq!(texts.len(), values.len());
        for (text, value) in texts.iter().zip(values) {
            if let Ok(text) = std::str::from_utf8(text) {
                assert_eq!(syntax.bytes(text).as_deref(), Some(*value), "a text stands for other bytes");
            }
        }
    }

    let values: Vec<Vec<&[u8]>> = texts.iter().map(|values| values.iter().map(AsRef::as_ref).collect()).collect();
    let mut record = UserRecord::default();
    let mut malformed = 0;
    if mapping.map(&Entry { name: found.name, values: &values }, &mut record, &mut malformed).is_ok() {
        assert!(!record.id.is_empty(), "somebody without an id");
    }
}
