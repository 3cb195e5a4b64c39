//! What can go wrong with an LDAP directory, in one sentence each: what, where, and how to mend it.

use directory_sync_core::Disposition;
use directory_sync_core::disposition::Classified;
use directory_sync_core::read::IncompleteRead;
use std::io;
use std::time::Duration;

/// Why a directory could not be read. Servers are named by their URL; text from a server is cut to a few words.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    /// A setting that cannot work.
    #[error("source.ldap.{field}: {problem}")]
    Config {
        /// Path of the field below `source.ldap`.
        field: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A filter that RFC 4515 does not allow.
    #[error(
        "source.ldap.{field}: the filter {filter} cannot be read; write it as in RFC 4515, for instance (objectClass=inetOrgPerson)"
    )]
    FilterInvalid {
        /// Path of the field below `source.ldap`.
        field: String,
        /// The filter as written.
        filter: String,
    },
    /// A password would have gone over an unencrypted connection.
    #[error(
        "{url} is not encrypted, so no password was sent to it; use ldaps:// or StartTLS, or accept it with tls.plaintext: AllowPasswordsInClearText"
    )]
    PlaintextRefused {
        /// The server.
        url: String,
    },
    /// The name of the server has no address.
    #[error("the host of {url} cannot be found ({source}); check the name in urls and the cluster's DNS")]
    HostUnknown {
        /// The server.
        url: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No connection came about.
    #[error("{url} cannot be reached ({source}); check the port, the server and the network policies")]
    Unreachable {
        /// The server.
        url: String,
        /// What the network said.
        source: io::Error,
    },
    /// Nothing came in time.
    #[error("{url} did not {what} within {} s; look at the server, or raise timeout", after.as_secs_f32())]
    TimedOut {
        /// The server.
        url: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// The server does not upgrade the connection.
    #[error("{url} refuses StartTLS (result code {code}: {text}); enable TLS on the server, or use ldaps://")]
    StartTlsRefused {
        /// The server.
        url: String,
        /// Result code (RFC 4511 appendix A).
        code: u32,
        /// The server's explanation.
        text: String,
    },
    /// TLS did not come about, for another reason than the certificate.
    #[error("TLS with {url} failed ({problem}); check that the port speaks TLS 1.2 or later")]
    TlsFailed {
        /// The server.
        url: String,
        /// What TLS said.
        problem: String,
    },
    /// The certificate is out of date.
    #[error("the certificate of {url} is outside its period of validity; renew it on the server")]
    CertificateExpired {
        /// The server.
        url: String,
    },
    /// The certificate cannot be trusted.
    #[error(
        "the certificate of {url} is not trusted ({problem}); put the authority that signed it into tls.caBundle, and use a host name that it covers"
    )]
    CertificateUntrusted {
        /// The server.
        url: String,
        /// What the check said.
        problem: String,
    },
    /// The server does not accept the account.
    #[error("{url} refuses the bind (result code {code}: {text}); check username and password in the Secret")]
    AuthFailed {
        /// The server.
        url: String,
        /// Result code.
        code: u32,
        /// The server's explanation.
        text: String,
    },
    /// The server wants encryption or another kind of bind.
    #[error("{url} demands an encrypted connection (result code {code}); use ldaps:// or StartTLS")]
    EncryptionRequired {
        /// The server.
        url: String,
        /// Result code.
        code: u32,
    },
    /// The server cannot answer now.
    #[error("{url} is not available at present (result code {code}: {text})")]
    Unavailable {
        /// The server.
        url: String,
        /// Result code.
        code: u32,
        /// The server's explanation.
        text: String,
    },
    /// The connection ended before the answer did.
    #[error("{url} closed the connection before its answer was complete ({problem})")]
    ConnectionLost {
        /// The server.
        url: String,
        /// How it ended.
        problem: String,
    },
    /// Bytes that are no LDAP, or no answer to what was asked.
    #[error("{url} sent {problem}; what answers there is no LDAP server that can be trusted")]
    Malformed {
        /// The server.
        url: String,
        /// What came.
        problem: String,
    },
    /// An answer over a cap.
    #[error("{url} sent {problem}; narrow the search, or lower pageSize")]
    CapExceeded {
        /// The server.
        url: String,
        /// What came, and the cap.
        problem: String,
    },
    /// The LDAP library gave up.
    #[error("the answer of {url} could not be processed ({problem})")]
    ClientFailed {
        /// The server.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The base of a search does not exist, or is hidden from the account.
    #[error(
        "{url} has no entry {base}, or hides it from this account; correct baseDN, or grant the account the right to read it"
    )]
    BaseNotFound {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
    },
    /// The server stopped at a limit of its own.
    #[error(
        "{url} stopped the search below {base} at its {limit} limit; raise that limit for the account, or lower pageSize"
    )]
    LimitExceeded {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
        /// Which limit.
        limit: &'static str,
    },
    /// Part of the answer is on another server.
    #[error(
        "{url} refers the search below {base} to {target}, and referrals are not followed; search below the entries that this server holds"
    )]
    Referral {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
        /// Where it points.
        target: String,
    },
    /// The account may not search there.
    #[error("{url} does not let this account search below {base}; grant it the right to read")]
    AccessDenied {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
    },
    /// Another result code than success.
    #[error("{url} refuses the search below {base} (result code {code}: {text})")]
    Refused {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
        /// Result code.
        code: u32,
        /// The server's explanation.
        text: String,
    },
    /// An attribute of a person came in part only.
    #[error("{url} sent only a range of the values of {attribute} of one person; raise the server's limit of values")]
    PartialValues {
        /// The server.
        url: String,
        /// The attribute.
        attribute: String,
    },
    /// The read did not come to its end.
    #[error(transparent)]
    Incomplete(#[from] IncompleteRead),
    /// No server of several could be used.
    #[error("none of the servers can be used: {}", attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoServer {
        /// What went wrong with each, in the order of `urls`.
        attempts: Vec<LdapError>,
    },
}

impl LdapError {
    /// Whether the next URL is worth a try: the server could not be spoken to at all.
    pub(super) fn is_of_this_server_only(&self) -> bool {
        matches!(
            self,
            Self::HostUnknown { .. }
                | Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::StartTlsRefused { .. }
                | Self::TlsFailed { .. }
                | Self::CertificateExpired { .. }
                | Self::CertificateUntrusted { .. }
                | Self::Unavailable { .. }
                | Self::ConnectionLost { .. }
        )
    }
}

impl Classified for LdapError {
    fn disposition(&self) -> Disposition {
        match self {
            // Mended in the resource or its Secret; another try with a wrong password may lock the account.
            Self::Config { .. }
            | Self::FilterInvalid { .. }
            | Self::PlaintextRefused { .. }
            | Self::AuthFailed { .. }
            | Self::EncryptionRequired { .. }
            | Self::CapExceeded { .. }
            | Self::BaseNotFound { .. } => Disposition::Stall,
            Self::Incomplete(error) => error.disposition(),
            Self::NoServer { attempts } => attempts.first().map_or(Disposition::Retry, Classified::disposition),
            _ => Disposition::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Config { .. } => "SourceInvalid",
            Self::FilterInvalid { .. } => "SourceFilterInvalid",
            Self::PlaintextRefused { .. } => "SourcePlaintextRefused",
            Self::HostUnknown { .. } => "SourceHostUnknown",
            Self::Unreachable { .. } | Self::Unavailable { .. } => "SourceUnavailable",
            Self::TimedOut { .. } => "SourceTimedOut",
            Self::StartTlsRefused { .. } | Self::TlsFailed { .. } => "SourceTlsFailed",
            Self::CertificateExpired { .. } => "SourceCertificateExpired",
            Self::CertificateUntrusted { .. } => "SourceCertificateUntrusted",
            Self::AuthFailed { .. } => "SourceAuthFailed",
            Self::EncryptionRequired { .. } => "SourceEncryptionRequired",
            Self::ConnectionLost { .. } | Self::ClientFailed { .. } | Self::PartialValues { .. } => {
                "SourceReadIncomplete"
            }
            Self::Malformed { .. } => "SourceMalformedAnswer",
            Self::CapExceeded { .. } | Self::LimitExceeded { .. } => "SourceLimitExceeded",
            Self::BaseNotFound { .. } => "SourceBaseNotFound",
            Self::Referral { .. } => "SourceReferral",
            Self::AccessDenied { .. } => "SourceAccessDenied",
            Self::Refused { .. } => "SourceSearchRefused",
            Self::Incomplete(error) => error.reason(),
            Self::NoServer { attempts } => attempts.first().map_or("SourceUnavailable", Classified::reason),
        }
    }
}

/// Text of a server, fit for a message: one line, at most 200 characters.
pub(super) fn excerpt(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    let text = text.trim();
    if text.is_empty() { "no explanation".to_owned() } else { text.to_owned() }
}
