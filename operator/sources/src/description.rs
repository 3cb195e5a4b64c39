//! What a source says of itself, and of single entries, for people who set it up.

use crate::SourceError;
use directory_sync_core::operation::Kind;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// What answers, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceDescription {
    /// URL of the server that answered.
    pub server: String,
    /// What it is, in its own words where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// How the connection is encrypted; absent where it is not, or where that is the platform's matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Whatever else is worth knowing: accounts, trees, limits.
    pub facts: Vec<Fact>,
}

/// One thing worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fact {
    /// What it is about, in one or two words.
    pub name: &'static str,
    /// What is so, in words.
    pub value: String,
}

/// How a connection is encrypted, and what the server showed of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Version of TLS: `TLS 1.3`.
    pub protocol: String,
    /// Whether the authorities are those of the resource, and not those of the platform.
    pub own_authority: bool,
    /// Whose certificate it is (RFC 4514); empty where it cannot be read.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Until when it is valid, in RFC 3339.
    pub valid_until: String,
}

impl Encryption {
    /// What a certificate in DER says.
    pub(crate) fn of(protocol: String, certificate: Option<&[u8]>) -> Self {
        let empty = Self { protocol, ..Self::default() };
        // It was verified by then; whatever cannot be shown of it is left out.
        let Some(certificate) = certificate.and_then(|der| Certificate::from_der(der).ok()) else { return empty };
        let certificate = certificate.tbs_certificate();
        Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            valid_until: certificate.validity().not_after.to_date_time().to_string(),
            ..empty
        }
    }
}

/// An entry that was found without the filters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// [`Kind::User`] or [`Kind::Group`].
    pub kind: Kind,
    /// What the source calls it: a DN, or an address.
    pub name: String,
    /// The immutable id by the mapping; empty if it has none.
    pub id: String,
    /// The searches that select it: `users[0]`.
    pub selected_by: Vec<String>,
    /// The searches in whose reach it lies and that do not select it, with their filters.
    pub passed_over_by: Vec<String>,
}

/// What [`crate::Source::find`] gives.
pub type Sightings = Result<Vec<Sighting>, SourceError>;
