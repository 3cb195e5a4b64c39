//! The guard between the network and the LDAP library.
//!
//! The library has no bounds: a message may be of any size and depth, and one of the wrong structure makes it panic.
//! So the guard owns the connection. It cuts what arrives into messages, refuses what is over a cap or is no answer to
//! the outstanding request, decodes the entries of searches itself, and gives the library only the small rest through
//! a pair of Unix sockets. The library drives binds, controls, paging and result codes and never sees an entry.

mod answers;
mod entry;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod message;
mod tls;
mod totals;
mod transport;

pub(super) use entry::EntrySink;
pub(super) use tls::TlsClient;
pub(super) use totals::Totals;

use super::ber;
use super::config::{LdapConfig, Server};
use super::error::LdapError;
use super::syntax::Syntaxes;
use answers::{Answers, Step, refusal};
use message::Request;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until, timeout};
use transport::Transport;

/// Room made for each read from the network.
const READ_BYTES: usize = 256 * 1024;
/// A read of fewer bytes than this is short: the server writes faster than that, entry by entry.
const SHORT_READ: usize = 32 * 1024;
/// How long to let bytes collect after a short read of a search. Being woken for every entry costs the server more
/// time than the entry itself when both run on one machine.
const COLLECT: Duration = Duration::from_micros(300);
/// `UnbindRequest` (RFC 4511 §4.3) with the highest message id, which nothing else uses.
const UNBIND: &[u8] = &[0x30, 0x08, 0x02, 0x04, 0x7f, 0xff, 0xff, 0xff, 0x42, 0x00];

/// A guarded connection.
pub(super) struct Guard {
    url: String,
    idle: Duration,
    message_bytes: usize,
    server: Box<dyn Transport>,
    client: UnixStream,
    /// Bytes from the library that are no whole request yet.
    requests: Vec<u8>,
    answers: Answers,
    /// When the next whole message must have come.
    due: Instant,
    client_gone: bool,
}

impl Guard {
    /// Connects, encrypts, and gives the library's end of the socket pair. What comes is added to the totals of the read.
    pub(super) async fn open(
        config: &LdapConfig,
        server: &Server,
        tls: &TlsClient,
        totals: &Arc<Totals>,
    ) -> Result<(Self, StdUnixStream), LdapError> {
        let transport = transport::open(config, server, tls).await?;
        let local =
            |source: io::Error| LdapError::ClientFailed { url: server.url.clone(), problem: source.to_string() };
        let (ours, library) = StdUnixStream::pair().map_err(local)?;
        ours.set_nonblocking(true).map_err(local)?;
        let guard = Self {
            url: server.url.clone(),
            idle: config.timeouts.idle,
            message_bytes: config.caps.message_bytes,
            server: transport,
            client: UnixStream::from_std(ours).map_err(local)?,
            requests: Vec::new(),
            answers: Answers::new(server.url.clone(), config.caps, Arc::clone(totals)),
            due: Instant::now(),
            client_gone: false,
        };
        Ok((guard, library))
    }

    /// How the connection is encrypted; `None` if it is not.
    pub(super) fn encryption(&self) -> Option<crate::Encryption> {
        self.server.encryption()
    }

    /// Says what the values of attributes are that no table knows.
    pub(super) fn set_syntaxes(&mut self, syntaxes: &Arc<Syntaxes>) {
        self.answers.syntaxes = Arc::clone(syntaxes);
    }

    /// The address of the server; `None` if the system does not know it any more.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.server.address()
    }

    /// Carries requests and answers, and gives entries to `sink`, until something goes wrong. To be dropped when the
    /// operation that it runs beside has its answer; the connection can then be served again.
    pub(super) async fn serve(&mut self, sink: &mut dyn EntrySink) -> LdapError {
        match self.carry(sink).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// Says goodbye (RFC 4511 §4.3). That it may not get through changes nothing.
    pub(super) async fn close(mut self) {
        let goodbye = async {
            self.server.write_all(UNBIND).await?;
            self.server.shutdown().await
        };
        if let Ok(Err(error)) = timeout(Duration::from_secs(1), goodbye).await {
            tracing::debug!(url = self.url, %error, "the connection was not closed cleanly");
        }
    }

    async fn carry(&mut self, sink: &mut dyn EntrySink) -> Result<std::convert::Infallible, LdapError> {
        self.due = Instant::now() + self.idle;
        loop {
            self.answers.bytes.reserve(READ_BYTES);
            tokio::select! {
                read = self.client.read_buf(&mut self.requests), if !self.client_gone => {
                    // The library gave up; the operation says why.
                    if read.map_err(|error| self.lost(&error))? == 0 {
                        self.client_gone = true;
                    }
                    self.relay().await?;
                }
                // Once the operation has its answer, it is no matter of this operation whether the connection lasts.
                read = self.server.read_buf(&mut self.answers.bytes), if self.answers.are_due() => {
                    let read = read.map_err(|error| self.lost(&error))?;
                    if read == 0 {
                        return Err(self.lost(&"it ended in the middle"));
                    }
                    self.deliver(sink).await?;
                    if self.answers.are_many() && read < SHORT_READ {
                        // The thread is that of this work alone, and the runtime's timer counts in milliseconds.
                        std::thread::sleep(COLLECT);
                    }
                }
                () = sleep_until(self.due) => {
                    return Err(self.late("go on with its answer"));
                }
            }
        }
    }

    /// Sends the whole requests of the library to the server.
    async fn relay(&mut self) -> Result<(), LdapError> {
        while let Some(length) =
            ber::frame(&self.requests, self.message_bytes).map_err(|error| refusal(&self.url, error))?
        {
            let Some(request) = self.requests.get(..length) else { return Ok(()) };
            let (id, tag) = message::request(request).map_err(|error| refusal(&self.url, error))?;
            if let Some(kind) = Request::of(tag) {
                self.answers.are_for(id, kind);
                self.due = Instant::now() + self.idle;
            }
            match timeout(self.idle, async {
                self.server.write_all(request).await?;
                self.server.flush().await
            })
            .await
            {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.lost(&error)),
                Err(_) => return Err(self.late("take a request")),
            }
            self.requests.drain(..length);
        }
        Ok(())
    }

    /// Uses up the whole messages received so far.
    async fn deliver(&mut self, sink: &mut dyn EntrySink) -> Result<(), LdapError> {
        let mut used = 0;
        while let Step::Forward(range) = self.answers.decode(&mut used, sink)? {
            let message = self.answers.bytes.get(range).unwrap_or_default();
            if let Err(error) = self.client.write_all(message).await {
                tracing::debug!(url = self.url, %error, "the LDAP library no longer listens");
                self.client_gone = true;
            }
        }
        if used > 0 {
            self.due = Instant::now() + self.idle;
        }
        self.answers.bytes.drain(..used);
        Ok(())
    }

    fn lost(&self, problem: &dyn std::fmt::Display) -> LdapError {
        LdapError::ConnectionLost { url: self.url.clone(), problem: problem.to_string() }
    }

    fn late(&self, what: &'static str) -> LdapError {
        LdapError::TimedOut { url: self.url.clone(), what, after: self.idle }
    }
}

#[cfg(test)]
pub(super) mod tests;
