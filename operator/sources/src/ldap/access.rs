//! The way to a directory: which of its servers answers, and the thread on which it is worked with.

use super::config::{LdapConfig, Server};
use super::connection;
use super::directory::Directory;
use super::error::LdapError;
use super::guard::TlsClient;
use super::names::Names;
use super::{read, servers};
use directory_sync_core::read::{CompleteRead, SourceSide};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tracing::Instrument;

/// How often a connection is made to come to the server that was read last, where one URL leads to many.
const SAME_SERVER_ATTEMPTS: usize = 4;

/// The settings of a directory, checked.
#[derive(Debug)]
pub(super) struct Access {
    config: LdapConfig,
    /// Those of the settings; none if a domain names them.
    servers: Vec<Server>,
    tls: TlsClient,
}

impl Access {
    /// Checks the settings.
    pub(super) fn new(config: LdapConfig) -> Result<Self, LdapError> {
        let servers = config.validate()?;
        let tls = TlsClient::new(&config.tls)?;
        Ok(Self { config, servers, tls })
    }

    /// The settings.
    pub(super) fn config(&self) -> &LdapConfig {
        &self.config
    }

    /// Where the directory is, as the settings say it.
    pub(super) fn place(&self) -> String {
        self.config.domain.clone().unwrap_or_else(|| self.config.urls.join(", "))
    }

    /// Works with the directory on a thread and a runtime of their own, until that is done or nobody waits for it any
    /// more.
    ///
    /// A page passes between the guard, the library and the reader several times, which costs nothing on one thread. No
    /// other thread is woken for bytes that are left to collect, and nobody else waits while many entries are decoded.
    pub(super) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl AsyncFnOnce(&Self) -> Result<T, LdapError> + Send + 'static,
    ) -> Result<T, LdapError> {
        let access = Arc::clone(self);
        let failed = |problem: String| LdapError::ClientFailed { url: self.place(), problem };
        let (waiting, nobody_waits) = oneshot::channel::<Infallible>();
        let span = tracing::Span::current();
        let thread = tokio::task::spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let result = runtime.block_on(async {
                tokio::select! {
                    result = work(&access).instrument(span) => Some(result),
                    _ = nobody_waits => None,
                }
            });
            // A name that is being looked up holds nobody up.
            runtime.shutdown_background();
            Ok::<_, std::io::Error>(result)
        });
        let ended = thread.await.map_err(|error| failed(error.to_string()))?;
        drop(waiting);
        ended.map_err(|error| failed(error.to_string()))?.unwrap_or_else(|| Err(failed("it was given up".to_owned())))
    }

    /// Reads everything, or says why there is no snapshot. With it comes by what groups know the people.
    pub(super) async fn read(&self) -> Result<(CompleteRead<SourceSide>, Names), LdapError> {
        let mut directory = self.connect().await?;
        let (url, address) = (directory.connection.url().to_owned(), directory.connection.address());
        let (read, names) = match Box::pin(read::read(&mut directory)).await {
            Ok(read) => read,
            Err(error) => {
                // It may be another server, to which a referral led, that failed.
                if error.failed_server() == Some(&url) {
                    self.config.health.failed(&url);
                }
                return Err(error);
            }
        };
        self.config.health.read(&url, address, read.server().unwrap_or_default());
        directory.close().await;
        Ok((read, names))
    }

    /// Connects and binds to the first server that can be used; if its URL leads to many, to the one that was read last,
    /// as far as that can be brought about. Removals wait when it is another one.
    pub(super) async fn connect(&self) -> Result<Directory<'_>, LdapError> {
        for _ in 1..SAME_SERVER_ATTEMPTS {
            let mut directory = self.connect_once().await?;
            let server = directory.server().await?;
            let (url, address) = (directory.connection.url(), directory.connection.address());
            if !self.config.health.was_another(url, address, &server) {
                directory.learn_syntaxes().await?;
                return Ok(directory);
            }
            directory.close().await;
        }
        let mut directory = self.connect_once().await?;
        directory.learn_syntaxes().await?;
        Ok(directory)
    }

    async fn connect_once(&self) -> Result<Directory<'_>, LdapError> {
        let found;
        let servers = match &self.config.domain {
            Some(domain) => {
                found = servers::of_domain(&self.config, domain).await?;
                &found
            }
            None => &self.servers,
        };
        let ldaps = servers.first().is_some_and(|server| server.ldaps);
        let totals = Arc::default();
        let connection = connection::connect(&self.config, servers, &self.tls, &totals).await?;
        Ok(Directory::new(&self.config, &self.tls, connection, ldaps, totals))
    }
}
