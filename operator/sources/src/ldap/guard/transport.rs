//! Opening the connection: name, socket, StartTLS and TLS.

use super::message::{self, Answer, Request};
use super::tls::TlsClient;
use crate::Encryption;
use crate::ldap::LdapError;
use crate::ldap::ber;
use crate::ldap::config::{LdapConfig, Server};
use crate::ldap::error::{ResultCode, words};
use rustls::{CertificateError, ProtocolVersion};
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection to a server, encrypted or not.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {
    /// How it is encrypted; `None` if it is not.
    fn encryption(&self) -> Option<Encryption>;

    /// The address of the other end; `None` if the system does not know it any more.
    fn address(&self) -> Option<SocketAddr>;
}

impl Transport for TcpStream {
    fn encryption(&self) -> Option<Encryption> {
        None
    }

    fn address(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }
}

impl Transport for TlsStream<TcpStream> {
    fn encryption(&self) -> Option<Encryption> {
        let session = self.get_ref().1;
        let protocol = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        Some(Encryption::of(protocol.to_owned(), certificate.map(AsRef::as_ref)))
    }

    fn address(&self) -> Option<SocketAddr> {
        self.get_ref().0.peer_addr().ok()
    }
}

/// `ExtendedRequest` 1.3.6.1.4.1.1466.20037 with message id 1 (RFC 4511 §4.14.1).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// The answer to StartTLS is a few dozen bytes.
const START_TLS_ANSWER_CAP: usize = 4096;

/// Connects as the settings say.
pub(super) async fn open(
    config: &LdapConfig,
    server: &Server,
    tls: &TlsClient,
) -> Result<Box<dyn Transport>, LdapError> {
    let idle = config.timeouts.idle;
    let late = |what| LdapError::TimedOut { url: server.url.clone(), what, after: idle };
    let mut socket = timeout(idle, connect(config, server)).await.map_err(|_| late("accept a connection"))??;
    if server.ldaps || config.tls.start_tls {
        if !server.ldaps {
            timeout(idle, start_tls(&mut socket, server)).await.map_err(|_| late("answer to StartTLS"))??;
        }
        let name = ServerName::try_from(server.host.clone())
            .map_err(|error| LdapError::TlsFailed { url: server.url.clone(), problem: error.to_string() })?;
        let handshake = TlsConnector::from(tls.config()?).connect(name, socket);
        let stream = timeout(idle, handshake).await.map_err(|_| late("complete the TLS handshake"))?;
        return Ok(Box::new(stream.map_err(|error| tls_error(&server.url, &error))?));
    }
    Ok(Box::new(socket))
}

async fn connect(config: &LdapConfig, server: &Server) -> Result<TcpStream, LdapError> {
    let unknown = |source| LdapError::HostUnknown { url: server.url.clone(), source };
    let mut addresses: Vec<SocketAddr> =
        lookup_host((server.host.as_str(), server.port)).await.map_err(unknown)?.take(16).collect();
    // One name may stand for many servers, in another order at every question.
    let last = config.health.last_address(&server.url);
    addresses.sort_by_key(|address| Some(*address) != last);
    let share = config.timeouts.idle / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Requests are small and each waits for its answer.
                socket
                    .set_nodelay(true)
                    .map_err(|source| LdapError::Unreachable { url: server.url.clone(), source })?;
                return Ok(socket);
            }
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::Error::from(io::ErrorKind::TimedOut),
        }
    }
    Err(LdapError::Unreachable { url: server.url.clone(), source: failure })
}

async fn start_tls(socket: &mut TcpStream, server: &Server) -> Result<(), LdapError> {
    let lost = |error: io::Error| LdapError::ConnectionLost { url: server.url.clone(), problem: words(&error) };
    let malformed = |problem: String| LdapError::Malformed { url: server.url.clone(), problem };
    socket.write_all(START_TLS).await.map_err(lost)?;
    let mut answer = Vec::with_capacity(256);
    let length = loop {
        if socket.read_buf(&mut answer).await.map_err(lost)? == 0 {
            return Err(lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let framed = ber::frame(&answer, START_TLS_ANSWER_CAP).map_err(|error| malformed(error.to_string()))?;
        if let Some(length) = framed {
            break length;
        }
    };
    // Whatever follows the answer unencrypted could be passed off as having come encrypted.
    if length != answer.len() {
        return Err(malformed("more than its answer to StartTLS before encryption began".to_owned()));
    }
    match message::check(&answer, Some((1, Request::Extended))) {
        Ok(Answer::Result(result)) if result.code == 0 => Ok(()),
        Ok(Answer::Result(result)) => Err(LdapError::StartTlsRefused {
            url: server.url.clone(),
            result: ResultCode::new(result.code, result.text),
        }),
        Ok(_) => Err(malformed("something else than an answer to StartTLS".to_owned())),
        Err(error) => Err(malformed(error.to_string())),
    }
}

fn tls_error(url: &str, error: &io::Error) -> LdapError {
    let url = url.to_owned();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => LdapError::CertificateExpired { url },
        Some(rustls::Error::InvalidCertificate(problem)) => {
            LdapError::CertificateUntrusted { url, problem: untrusted(problem) }
        }
        _ => LdapError::TlsFailed { url, problem: error.to_string() },
    }
}

/// The library's words for the two usual cases are those of programmers.
fn untrusted(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => "an unknown authority signed it".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name".to_owned()
        }
        other => other.to_string(),
    }
}
