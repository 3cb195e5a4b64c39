//! What TLS needs: whom to trust, and the own certificate.

use crate::ldap::LdapError;
use crate::ldap::config::{Tls, invalid};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::ExposeSecret;
use std::sync::{Arc, OnceLock};

/// The settings for encrypted connections. The authorities of the system take longer to load than a small directory to
/// read, so that they are loaded for the first connection that is encrypted.
#[derive(Debug)]
pub(crate) struct TlsClient {
    settings: Tls,
    config: OnceLock<Arc<ClientConfig>>,
}

impl TlsClient {
    /// Checks what the settings name.
    pub(crate) fn new(settings: &Tls) -> Result<Self, LdapError> {
        let client = Self { settings: settings.clone(), config: OnceLock::new() };
        if settings.ca_bundle.is_some() || settings.client_certificate.is_some() {
            client.config()?;
        }
        Ok(client)
    }

    /// The settings as the TLS library takes them.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, LdapError> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = client_config(&self.settings)?;
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }
}

fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, LdapError> {
    let unusable = |problem: &str| {
        invalid(
            "tls.caBundle",
            format!("{problem}; write the authority's certificate in PEM, from its BEGIN to its END line"),
        )
    };
    let problem = |error: &dyn std::fmt::Display| unusable(&format!("it cannot be used ({error})"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| problem(&error))?;
    let builder = match &tls.ca_bundle {
        None => builder.with_platform_verifier().map_err(|error| problem(&error))?,
        Some(bundle) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
                roots.add(certificate.map_err(|error| problem(&error))?).map_err(|error| problem(&error))?;
            }
            if roots.is_empty() {
                return Err(unusable("it holds no certificate"));
            }
            builder.with_root_certificates(roots)
        }
    };
    let Some(own) = &tls.client_certificate else { return Ok(Arc::new(builder.with_no_client_auth())) };
    // What the parser says of a key could quote it.
    let not_pem =
        |what: &str| invalid("bind.external", format!("the {what} in the Secret cannot be used; write it in PEM"));
    let chain = CertificateDer::pem_slice_iter(own.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| not_pem("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(own.key.expose_secret().as_bytes()).map_err(|_| not_pem("key"))?;
    let config = builder
        .with_client_auth_cert(chain, key)
        .map_err(|_| invalid("bind.external", "certificate and key in the Secret do not belong together"))?;
    Ok(Arc::new(config))
}
