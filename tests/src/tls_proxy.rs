//! TLS before a peer that speaks plain text, with everything noted that a client sends.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::peers::tls::ServerCertificate;

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct TlsProxy {
    port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl TlsProxy {
    /// Takes TLS connections with this certificate, for `localhost`, and passes them on to `peer` (`127.0.0.1:80`).
    pub async fn start(certificate: &ServerCertificate, peer: &str) -> Result<Self> {
        let chain = vec![CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the proxy")?;
        let port = listener.local_addr()?.port();
        let sent = Arc::default();
        let (log, peer) = (Arc::clone(&sent), peer.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, log, peer) = (acceptor.clone(), Arc::clone(&log), peer.clone());
                tokio::spawn(async move {
                    // A connection that either side cuts is over; the client tells of it.
                    if let (Ok(client), Ok(server)) = (acceptor.accept(stream).await, TcpStream::connect(&peer).await) {
                        let _ = pass_on(client, server, &log).await;
                    }
                });
            }
        });
        Ok(Self { port, sent, task })
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Everything that clients sent so far, decrypted.
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(client: TlsStream<TcpStream>, server: TcpStream, log: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            log.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..read]);
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let down = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(up, down).map(drop)
}
