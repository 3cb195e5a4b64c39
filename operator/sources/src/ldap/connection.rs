//! A connection that is bound and can search.

use super::ber::{self, Reader};
use super::config::{Bind, Dereference, LdapConfig, Scope, Server};
use super::error::{LdapError, ResultCode};
use super::guard::{EntrySink, Guard, TlsClient, Totals};
use super::syntax::Syntaxes;
use directory_sync_core::mapping::Entry;
use futures::FutureExt;
use ldap3::controls::{PagedResults, RawControl};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, SearchOptions, StdStream};
use secrecy::ExposeSecret;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// A connection.
pub(super) struct Connection {
    guard: Guard,
    ldap: Ldap,
    url: String,
    place: String,
    aliases: ldap3::DerefAliases,
}

/// One search to be sent.
pub(super) struct Request<'a> {
    /// The entry at which it starts.
    pub(super) base: &'a str,
    /// How far it reaches.
    pub(super) scope: Scope,
    /// Which entries it selects.
    pub(super) filter: &'a str,
    /// Page size and the cookie of the page before; `None`: no paging is asked for.
    pub(super) page: Option<(u32, Vec<u8>)>,
    /// How many entries to send at most; 0: all.
    pub(super) size_limit: i32,
}

/// The end of a search that succeeded.
pub(super) struct Page {
    /// The cookie of the paged results control, empty on the last page; `None` if the server sent no control.
    pub(super) cookie: Option<Vec<u8>>,
}

/// Connects and binds to the first server that can be used, those that failed lately last.
pub(super) async fn connect(
    config: &LdapConfig,
    servers: &[Server],
    tls: &TlsClient,
    totals: &Arc<Totals>,
) -> Result<Connection, LdapError> {
    let mut attempts = Vec::new();
    for server in config.health.sort(servers.to_vec()) {
        match Connection::open(config, &server, tls, totals).await {
            Ok(connection) => {
                config.health.answered(&server.url);
                return Ok(connection);
            }
            Err(error) if error.is_of_this_server_only() => {
                config.health.failed(&server.url);
                attempts.push((server.url, error));
            }
            Err(error) => return Err(error),
        }
    }
    // Told in the order of the resource, which is not always the one in which they were tried.
    attempts.sort_by_key(|(url, _)| servers.iter().position(|server| server.url == *url));
    let mut attempts: Vec<LdapError> = attempts.into_iter().map(|(_, error)| error).collect();
    Err(match attempts.pop() {
        Some(only) if attempts.is_empty() => only,
        last => {
            attempts.extend(last);
            LdapError::NoServer { attempts }
        }
    })
}

impl Connection {
    /// Connects to one server and binds there.
    pub(super) async fn open(
        config: &LdapConfig,
        server: &Server,
        tls: &TlsClient,
        totals: &Arc<Totals>,
    ) -> Result<Self, LdapError> {
        let (guard, stream) = Guard::open(config, server, tls, totals).await?;
        let url = server.url.clone();
        let is_name = server.host.parse::<IpAddr>().is_err();
        let place = match guard.address().filter(|_| is_name) {
            Some(address) => format!("{url} ({})", address.ip()),
            None => url.clone(),
        };
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
        // With a stream given, the URL only says that it is a Unix socket.
        let (driver, ldap) = LdapConnAsync::with_settings(settings, "ldapi:///")
            .await
            .map_err(|error| LdapError::ClientFailed { url: url.clone(), problem: error.to_string() })?;
        // Ends with the connection. If it panics, the operation under way reports it.
        tokio::spawn(async move {
            if let Err(error) = driver.drive().await {
                tracing::debug!(%error, "the LDAP library ended the connection");
            }
        });
        let aliases = match config.aliases {
            Dereference::Never => ldap3::DerefAliases::Never,
            Dereference::Searching => ldap3::DerefAliases::Searching,
            Dereference::Finding => ldap3::DerefAliases::Finding,
            Dereference::Always => ldap3::DerefAliases::Always,
        };
        let mut connection = Self { guard, ldap, url, place, aliases };
        connection.bind(&config.bind).await?;
        Ok(connection)
    }

    /// The server.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The server with the address that its name stands for.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The address of the server.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.guard.address()
    }

    /// Says what the values of attributes are that no table knows.
    pub(super) fn set_syntaxes(&mut self, syntaxes: &Arc<Syntaxes>) {
        self.guard.set_syntaxes(syntaxes);
    }

    /// How the connection is encrypted; `None` if it is not.
    pub(super) fn encryption(&self) -> Option<crate::Encryption> {
        self.guard.encryption()
    }

    async fn bind(&mut self, bind: &Bind) -> Result<(), LdapError> {
        let Self { guard, ldap, url, .. } = self;
        let result = match bind {
            Bind::Anonymous => return Ok(()),
            Bind::Simple { username, password } => {
                run(guard, url, ldap.simple_bind(username, password.expose_secret()), &mut NoEntries).await?
            }
            Bind::External => run(guard, url, ldap.sasl_external_bind(), &mut NoEntries).await?,
        };
        let (url, code, result) = (url.clone(), result.rc, ResultCode::new(result.rc, &result.text));
        match code {
            0 => Ok(()),
            8 | 13 => Err(LdapError::EncryptionRequired { url, code }),
            // These say that the server failed, and nothing about the account.
            1 | 51 | 52 | 80 => Err(LdapError::Unavailable { url, result }),
            _ if matches!(bind, Bind::External) => Err(LdapError::ClientCertificateRefused { url, result }),
            _ => Err(LdapError::AuthFailed { url, result }),
        }
    }

    /// Sends one search, gives its entries to `sink`, and succeeds only if the server says that it did.
    pub(super) async fn search(&mut self, request: &Request<'_>, sink: &mut dyn EntrySink) -> Result<Page, LdapError> {
        let Self { guard, ldap, url, aliases, .. } = self;
        // An empty list would ask for everything (RFC 4511 §4.5.1.8).
        let attributes = match sink.attributes() {
            [] => vec!["1.1".to_owned()],
            wanted => wanted.to_vec(),
        };
        if let Some((size, cookie)) = &request.page {
            let size = i32::try_from(*size).unwrap_or(i32::MAX);
            ldap.with_controls(PagedResults { size, cookie: cookie.clone() });
        }
        ldap.with_search_options(SearchOptions::new().sizelimit(request.size_limit).deref(*aliases));
        let scope = match request.scope {
            Scope::Base => ldap3::Scope::Base,
            Scope::OneLevel => ldap3::Scope::OneLevel,
            Scope::Subtree => ldap3::Scope::Subtree,
        };
        let search = ldap.search(request.base, scope, request.filter, attributes);
        let result = run(guard, url, search, sink).await?.1;
        check(url, request, &result)?;
        let control = result.ctrls.iter().find(|control| control.1.ctype == PAGED_RESULTS);
        let cookie = control
            .map(|control| cookie(&control.1))
            .transpose()
            .map_err(|error| LdapError::Malformed { url: url.clone(), problem: error.to_string() })?;
        Ok(Page { cookie })
    }

    /// Says goodbye to the server.
    pub(super) async fn close(self) {
        self.guard.close().await;
    }
}

/// Runs an operation of the library beside the guard. A panic in it is an error like any other.
async fn run<T>(
    guard: &mut Guard,
    url: &str,
    operation: impl Future<Output = ldap3::result::Result<T>>,
    sink: &mut dyn EntrySink,
) -> Result<T, LdapError> {
    let failed = |problem: String| LdapError::ClientFailed { url: url.to_owned(), problem };
    tokio::select! {
        biased;
        result = AssertUnwindSafe(operation).catch_unwind() => match result {
            Ok(result) => result.map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed("the LDAP library broke down".to_owned())),
        },
        error = guard.serve(sink) => Err(error),
    }
}

fn check(url: &str, request: &Request<'_>, result: &ldap3::LdapResult) -> Result<(), LdapError> {
    let (url, base, code) = (url.to_owned(), request.base.to_owned(), result.rc);
    let explained = ResultCode::new(code, &result.text);
    let limit = |limit| LdapError::LimitExceeded { url: url.clone(), base: base.clone(), limit };
    Err(match code {
        0 if result.refs.is_empty() => return Ok(()),
        4 if request.size_limit > 0 => return Ok(()),
        0 | 10 => {
            let targets = if result.refs.is_empty() { vec!["another server".to_owned()] } else { result.refs.clone() };
            LdapError::Referral { url, base, targets }
        }
        3 => limit("time"),
        4 => limit("size"),
        11 => limit("administrative"),
        32 => LdapError::BaseNotFound { url, base },
        34 => LdapError::BaseInvalid { url, base },
        8 | 13 => LdapError::EncryptionRequired { url, code },
        50 => LdapError::AccessDenied { url, base },
        51 | 52 => LdapError::Unavailable { url, result: explained },
        _ => LdapError::Refused { url, base, result: explained },
    })
}

/// The cookie of a paged results control (RFC 2696 §2). The library's own parser panics on what it does not expect.
fn cookie(control: &RawControl) -> Result<Vec<u8>, ber::BerError> {
    let value = control.val.as_deref().unwrap_or_default();
    let mut parts = Reader::new(Reader::new(value).take(ber::SEQUENCE)?);
    parts.take(ber::INTEGER)?;
    Ok(parts.take(ber::OCTET_STRING)?.to_vec())
}

/// For operations that have no entries.
struct NoEntries;

impl EntrySink for NoEntries {
    fn attributes(&self) -> &[String] {
        &[]
    }

    fn entry(&mut self, _: &Entry<'_>) -> Result<(), LdapError> {
        Ok(())
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ldap::guard::tests::guard;

    fn problem<T>(outcome: Result<T, LdapError>) -> String {
        match outcome {
            Err(LdapError::ClientFailed { problem, .. }) => problem,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it succeeded"),
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_library_in_an_operation_is_an_ordinary_error() {
        let (mut guard, _library) = guard().await;
        let operation = async { panic!("the library met what it did not expect") };
        let outcome: Result<(), _> = run(&mut guard, "ldap://dc1", operation, &mut NoEntries).await;
        assert_eq!(problem(outcome), "the LDAP library broke down");
    }

    #[tokio::test]
    async fn the_end_of_the_task_of_the_library_is_an_ordinary_error_whether_it_returns_or_panics() {
        for panics in [false, true] {
            let (mut guard, library) = guard().await;
            let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(library));
            let (driver, mut ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await.unwrap();
            let task = tokio::spawn(async move {
                let _driver = driver;
                assert!(!panics, "the library met what it did not expect");
            });
            assert_eq!(task.await.is_err(), panics);
            let operation = ldap.simple_bind("cn=reader", "of a test");
            let outcome = run(&mut guard, "ldap://dc1", operation, &mut NoEntries).await;
            assert!(!problem(outcome).contains("of a test"));
        }
    }
}
