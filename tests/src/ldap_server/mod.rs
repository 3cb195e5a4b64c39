//! An LDAP server that misbehaves as it is told to.
//!
//! It imitates no directory: a script says byte by byte what one connection answers. Real answers come from
//! [`crate::peers::slapd`].

pub mod messages;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A listening server. Dropping it closes the port.
#[derive(Debug)]
pub struct LdapServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// One connection, as a script sees it.
#[derive(Debug)]
pub struct Session {
    socket: TcpStream,
    /// Requests sent by the client that were not looked at yet.
    buffer: Vec<u8>,
}

impl LdapServer {
    /// Runs `script` on the first connection, and serves one person to every later one.
    pub async fn misbehave_once<F>(script: impl Fn(Session) -> F + Send + Sync + 'static) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self::script(move |number, session| -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
            if number == 0 { Box::pin(script(session)) } else { Box::pin(serve_one_person(session)) }
        })
        .await
    }

    /// Serves one person to every connection.
    pub async fn behave() -> Result<Self> {
        Self::script(|_, session| serve_one_person(session)).await
    }

    /// Runs `script` on every connection; it is told how many there were before.
    pub async fn script<F>(script: impl Fn(usize, Session) -> F + Send + Sync + 'static) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            for number in 0.. {
                let Ok((socket, _)) = listener.accept().await else { break };
                tokio::spawn(script(number, Session { socket, buffer: Vec::new() }));
            }
        });
        Ok(Self { address, task })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address without TLS.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }
}

impl Drop for LdapServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    /// Waits for a request; gives its message id and the tag of its operation.
    pub async fn request(&mut self) -> Result<(u8, u8)> {
        loop {
            // Requests of the tests are short enough for lengths of one octet after the first.
            if let Some((length, id, tag)) = messages::parse_request(&self.buffer) {
                self.buffer.drain(..length);
                return Ok((id, tag));
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("the client left");
            }
        }
    }

    /// Accepts a bind.
    pub async fn bind(&mut self) -> Result<()> {
        let (id, tag) = self.request().await?;
        if tag != messages::BIND_REQUEST {
            bail!("a bind was expected, not {tag:#x}");
        }
        self.send(&messages::result(id, messages::BIND_RESPONSE, 0, "")).await
    }

    /// Waits for a search and gives its message id.
    pub async fn search(&mut self) -> Result<u8> {
        let (id, tag) = self.request().await?;
        if tag == messages::SEARCH_REQUEST { Ok(id) } else { bail!("a search was expected, not {tag:#x}") }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write_all(bytes).await.context("cannot send")
    }

    /// Keeps the connection open until the client closes it.
    pub async fn wait(&mut self) -> Result<()> {
        let mut sink = [0; 1024];
        while self.socket.read(&mut sink).await? > 0 {}
        Ok(())
    }

    /// What the client sends until it closes the connection.
    pub async fn everything(&mut self) -> io::Result<Vec<u8>> {
        self.socket.read_to_end(&mut self.buffer).await?;
        Ok(std::mem::take(&mut self.buffer))
    }
}

async fn serve_one_person(mut session: Session) -> Result<()> {
    session.bind().await?;
    while let Ok(id) = session.search().await {
        session.send(&messages::person(id, "ada")).await?;
        session.send(&messages::done(id, 0, Some(b""))).await?;
    }
    Ok(())
}
