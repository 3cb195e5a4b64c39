//! How the connection to Google is encrypted, for people who set it up. Nothing secret is sent to find out.

use super::config::GoogleConfig;
use super::http::{Http, base};
use crate::Encryption;
use reqwest::tls::{TlsInfo, Version};

/// Asks for the base of the API without credentials, and looks at the connection alone; `None` where it is not
/// encrypted, or did not come about.
pub(super) async fn of(config: &GoogleConfig) -> Option<Encryption> {
    let url = base(&config.endpoints.directory).ok().filter(|url| url.scheme() == "https")?;
    // Which version was agreed on is not told, so the newer one is tried alone.
    for (least, protocol) in [(Version::TLS_1_3, "TLS 1.3"), (Version::TLS_1_2, "TLS 1.2")] {
        let builder = Http::builder(config).ok()?.tls_info(true).tls_version_min(least);
        let Ok(answer) = builder.build().ok()?.head(url.clone()).send().await else { continue };
        let certificate = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        let encryption = Encryption::of(protocol.to_owned(), certificate);
        return Some(Encryption { own_authority: config.ca_pem.is_some(), ..encryption });
    }
    None
}
