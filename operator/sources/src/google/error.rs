//! What can go wrong with Google, in one sentence each: what, where, and how to mend it.

use directory_sync_core::Disposition;
use directory_sync_core::disposition::Classified;
use directory_sync_core::read::IncompleteRead;
use std::time::Duration;

/// Why Google's directory could not be read. `url` never holds a query; `detail` is what the other side said: one
/// line, cut short, without tokens, and with `: ` before it unless it is empty.
#[derive(Debug, thiserror::Error)]
pub enum GoogleError {
    /// A setting that cannot work.
    #[error("{field}: {problem}")]
    Config {
        /// Path of the field below `spec`.
        field: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A token would have gone over an unencrypted connection.
    #[error(
        "{url} is not encrypted, so nothing was sent to it; write an https:// URL, or accept it with \
         tls.plaintext: AllowTokenInClearText"
    )]
    PlaintextRefused {
        /// The configured base.
        url: String,
    },
    /// The CA bundle is no list of PEM certificates.
    #[error("the CA bundle for {url} holds no usable PEM certificate; put at least one CERTIFICATE block into it")]
    BadCa {
        /// The base.
        url: String,
    },
    /// The TLS side of the client could not be set up.
    #[error("no TLS client can be made for {url}: {cause}; give the CA bundle, or install the system's certificates")]
    NoTls {
        /// The base.
        url: String,
        /// What is missing.
        cause: String,
    },
    /// The key of the service account cannot be used.
    #[error("the key of the service account cannot be used: {problem}")]
    KeyUnusable {
        /// What is wrong and what to put into the Secret instead. Nothing of the key.
        problem: String,
    },
    /// The file with the workload's token cannot be read.
    #[error("the workload's token {path} cannot be read ({cause}); mount it into the operator's pod")]
    TokenFile {
        /// The file.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// No address is known for the host.
    #[error("the host of {url} is unknown; check the DNS of the cluster")]
    HostUnknown {
        /// What was asked.
        url: String,
    },
    /// The certificate was refused.
    #[error(
        "the certificate of {url} is not trusted ({cause}); if a proxy stands in between, give its CA in tls.caBundle"
    )]
    CertificateUntrusted {
        /// What was asked.
        url: String,
        /// What the verifier said.
        cause: String,
    },
    /// The two sides could not agree on an encrypted connection.
    #[error("no encrypted connection to {url}: {cause}; check proxies in between")]
    TlsFailed {
        /// What was asked.
        url: String,
        /// What TLS said.
        cause: String,
    },
    /// No connection, or it was lost before it was used.
    #[error("{url} cannot be reached: {cause}; check network policies and proxies")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What the network said.
        cause: String,
    },
    /// The answer ended too early.
    #[error("the answer of {url} was cut short: {cause}; the next run reads it again")]
    CutShort {
        /// What was asked.
        url: String,
        /// How it ended.
        cause: String,
    },
    /// No whole answer within the timeout.
    #[error("{url} did not answer within {} s; check the network, or raise timeout", .after.as_secs_f32())]
    TimedOut {
        /// What was asked.
        url: String,
        /// The timeout.
        after: Duration,
    },
    /// The token endpoint does not accept the key, the administrator or the assertion.
    #[error("{url} gives no token ({code}){detail}; {advice}")]
    TokenRefused {
        /// What was asked.
        url: String,
        /// The error's name (RFC 6749 §5.2).
        code: String,
        /// What it said.
        detail: String,
        /// How to mend it.
        advice: &'static str,
    },
    /// Domain-wide delegation is missing or lacks a scope.
    #[error(
        "{url} gives no token (unauthorized_client){detail}; in Google's admin console, under Security, API controls, \
         Domain-wide delegation, grant the client {client} these scopes: {scopes}"
    )]
    DelegationMissing {
        /// What was asked.
        url: String,
        /// What it said.
        detail: String,
        /// Client ID of the service account, or its address where the ID is not known.
        client: String,
        /// The scopes, as the console takes them.
        scopes: String,
    },
    /// The workload may not act as the service account.
    #[error(
        "{url} does not let the workload sign for {service_account} (HTTP {status}){detail}; grant it the role \
         roles/iam.serviceAccountTokenCreator on that service account, and enable the IAM Service Account Credentials API"
    )]
    ImpersonationRefused {
        /// What was asked.
        url: String,
        /// The service account.
        service_account: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// 401, with a fresh token too.
    #[error("{url} does not accept a token that was issued a moment ago (HTTP 401){detail}; check the service account")]
    Unauthorized {
        /// What was asked.
        url: String,
        /// What it said.
        detail: String,
    },
    /// 403: the administrator may not.
    #[error(
        "{url} is forbidden (HTTP 403 {reason}){detail}; give the administrator in delegatedAdmin a role that may read \
         users and groups"
    )]
    Forbidden {
        /// What was asked.
        url: String,
        /// Google's name for it.
        reason: String,
        /// What it said.
        detail: String,
    },
    /// 403: the API is not to be used at all.
    #[error(
        "{url} cannot be used (HTTP 403 {reason}){detail}; enable the Admin SDK API in the project of the service \
         account, and API access in Google's admin console"
    )]
    ApiDisabled {
        /// What was asked.
        url: String,
        /// Google's name for it.
        reason: String,
        /// What it said.
        detail: String,
    },
    /// 404 in Google's own words.
    #[error("{url} does not exist (HTTP 404){detail}; check customer, domain and onlyGroups")]
    NotFound {
        /// What was asked.
        url: String,
        /// What it said.
        detail: String,
    },
    /// 400: the query or another setting is not understood.
    #[error(
        "{url} refuses the request (HTTP {status} {reason}){detail}; check userQuery, groups.query and the mapping"
    )]
    Refused {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// Google's name for it.
        reason: String,
        /// What it said.
        detail: String,
    },
    /// A page in the middle of a list is refused.
    #[error("the list {url} broke off: its page token is refused (HTTP {status}){detail}; the next run begins anew")]
    PageRefused {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// Too many requests, even after pauses.
    #[error("{url} asks to slow down ({reason}); lower requestsPerSecond, or raise the quota of the project")]
    RateLimited {
        /// What was asked.
        url: String,
        /// Google's name for it.
        reason: String,
        /// How long it asks to wait (`Retry-After`).
        wait: Option<Duration>,
    },
    /// Google failed.
    #[error("{url} failed (HTTP {status} {reason}){detail}; it may pass by itself")]
    ServerError {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// Google's name for it.
        reason: String,
        /// What it said.
        detail: String,
        /// How long it asks to wait (`Retry-After`).
        wait: Option<Duration>,
    },
    /// A redirect, which is not followed: the token belongs to one host.
    #[error("{url} redirects to {to}, which is not followed; check proxies in between")]
    Redirected {
        /// What was asked.
        url: String,
        /// The host it points to.
        to: String,
    },
    /// What answers is not Google's API.
    #[error("{url} answered with {found}, not in the form of Google's API; check proxies in between")]
    NotGoogle {
        /// What was asked.
        url: String,
        /// What came instead.
        found: String,
    },
    /// The answer is longer than the cap.
    #[error("the answer of {url} is longer than {cap} bytes; what answers there is not Google")]
    TooLarge {
        /// What was asked.
        url: String,
        /// The cap, in bytes.
        cap: usize,
    },
    /// People of two customers in what should be one directory.
    #[error(
        "{url} told of people of customer {found} after people of customer {known}; nothing is planned from such a \
         read; check that delegatedAdmin belongs to one organization"
    )]
    CustomerChanged {
        /// What was asked.
        url: String,
        /// The customer that was seen first, or is configured.
        known: String,
        /// The other one.
        found: String,
    },
    /// A member of a group of whom it cannot be told who that is.
    #[error(
        "Google names a member of group {group} of whom it cannot be told who that is; look at that group in the admin console"
    )]
    MemberUnclear {
        /// The group.
        group: String,
    },
    /// A group of `onlyGroups`, or one that is nested in them, does not exist.
    #[error("onlyGroups: there is no group {group}, so it is not known who is meant; {advice}")]
    GroupMissing {
        /// The group, as configured or by id.
        group: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// It is not known who belongs to a group of `onlyGroups`, and so not who is in scope.
    #[error("onlyGroups: the members of {group} cannot be read, so it is not known who is meant: {cause}")]
    ScopeUnknown {
        /// The group, as configured or by id.
        group: String,
        /// Why not.
        cause: Box<GoogleError>,
    },
    /// The whole read took too long.
    #[error("the read of Google's directory did not come to its end within {} s; raise requestsPerSecond", .after.as_secs())]
    ReadTimedOut {
        /// How long it may take.
        after: Duration,
    },
    /// The read did not come to its end.
    #[error(transparent)]
    Incomplete(#[from] IncompleteRead),
}

impl Classified for GoogleError {
    fn disposition(&self) -> Disposition {
        match self {
            // Mended in the resource or its Secret.
            Self::Config { .. } | Self::PlaintextRefused { .. } | Self::BadCa { .. } | Self::KeyUnusable { .. } => {
                Disposition::Stall
            }
            Self::RateLimited { wait: Some(wait), .. } | Self::ServerError { wait: Some(wait), .. } => {
                Disposition::Wait(*wait)
            }
            Self::ScopeUnknown { cause, .. } => cause.disposition(),
            Self::Incomplete(error) => error.disposition(),
            // Passes by itself, or may be mended in Google's consoles or by setting a clock right, where no change can
            // be noticed from here. Google locks nobody out for trying again.
            _ => Disposition::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Config { .. } => "SourceInvalid",
            Self::PlaintextRefused { .. } => "SourcePlaintextRefused",
            Self::BadCa { .. } => "SourceCaInvalid",
            Self::NoTls { .. } | Self::TlsFailed { .. } => "SourceTlsFailed",
            Self::KeyUnusable { .. } => "SourceKeyInvalid",
            Self::TokenFile { .. } => "SourceTokenFileUnreadable",
            Self::HostUnknown { .. } => "SourceHostUnknown",
            Self::CertificateUntrusted { .. } => "SourceCertificateUntrusted",
            Self::Unreachable { .. } | Self::ServerError { .. } => "SourceUnavailable",
            Self::TimedOut { .. } | Self::ReadTimedOut { .. } => "SourceTimedOut",
            Self::TokenRefused { .. } | Self::Unauthorized { .. } => "SourceAuthFailed",
            Self::DelegationMissing { .. } | Self::ImpersonationRefused { .. } => "SourceDelegationMissing",
            Self::Forbidden { .. } | Self::ApiDisabled { .. } => "SourceAccessDenied",
            Self::NotFound { .. } => "SourceNotFound",
            Self::Refused { .. } => "SourceQueryRefused",
            Self::RateLimited { .. } => "SourceRateLimited",
            Self::Redirected { .. } => "SourceRedirects",
            Self::NotGoogle { .. } | Self::MemberUnclear { .. } => "SourceMalformedAnswer",
            Self::TooLarge { .. } => "SourceLimitExceeded",
            Self::CutShort { .. } | Self::PageRefused { .. } | Self::CustomerChanged { .. } => "SourceReadIncomplete",
            Self::ScopeUnknown { .. } | Self::GroupMissing { .. } => "SourceScopeUnknown",
            Self::Incomplete(error) => error.reason(),
        }
    }

    fn quoted(&self) -> Vec<&str> {
        match self {
            Self::Unauthorized { detail, .. }
            | Self::TokenRefused { detail, .. }
            | Self::DelegationMissing { detail, .. }
            | Self::ImpersonationRefused { detail, .. }
            | Self::Forbidden { detail, .. }
            | Self::ApiDisabled { detail, .. }
            | Self::NotFound { detail, .. }
            | Self::Refused { detail, .. }
            | Self::PageRefused { detail, .. }
            | Self::ServerError { detail, .. } => vec![detail],
            Self::Redirected { to, .. } => vec![to],
            Self::ScopeUnknown { cause, .. } => cause.quoted(),
            _ => Vec::new(),
        }
    }
}
