//! What can go wrong between the operator and a SCIM service.

use directory_sync_core::Disposition;
use directory_sync_core::disposition::Classified;
use directory_sync_core::read::IncompleteRead;
use std::error::Error;
use std::time::Duration;

/// Why a request to a SCIM service, or a read of it, did not succeed. `url` never holds a query, `detail` is what the
/// service said: one line, cut short, without the token.
#[derive(Debug, thiserror::Error)]
pub enum ScimError {
    /// The URL would send the token in clear text.
    #[error(
        "{url} would send the token unencrypted; write an https:// URL, or accept it with \
         tls.plaintext: AllowTokenInClearText"
    )]
    PlaintextRefused {
        /// The configured base.
        url: String,
    },
    /// The URL cannot be the base of a SCIM service.
    #[error("{url} cannot be the base of a SCIM service; write https://HOST/PATH without user, query or fragment")]
    BadUrl {
        /// The configured base, without user and password.
        url: String,
    },
    /// The CA bundle is no list of PEM certificates.
    #[error("the CA bundle for {url} holds no usable PEM certificate; put at least one CERTIFICATE block into it")]
    BadCa {
        /// The configured base.
        url: String,
    },
    /// The token cannot stand in a header.
    #[error("the token for {url} is empty or holds characters that no HTTP header can carry; correct the Secret")]
    BadToken {
        /// The configured base.
        url: String,
    },
    /// The TLS side of the client could not be set up.
    #[error("no TLS client can be made for {url}: {cause}; give the CA bundle, or install the system's certificates")]
    NoTls {
        /// The configured base.
        url: String,
        /// What is missing.
        cause: String,
    },
    /// No address is known for the host.
    #[error("the host of {url} cannot be found; check the name in url and the cluster's DNS")]
    HostUnknown {
        /// What was asked.
        url: String,
    },
    /// The certificate of the service was refused.
    #[error("the certificate of {url} is not trusted ({cause}); give its CA in tls.caBundle, or renew the certificate")]
    CertificateUntrusted {
        /// What was asked.
        url: String,
        /// What the verifier said.
        cause: String,
    },
    /// The two sides could not agree on an encrypted connection.
    #[error("no encrypted connection to {url}: {cause}; check that the port speaks HTTPS")]
    TlsFailed {
        /// What was asked.
        url: String,
        /// What TLS said.
        cause: String,
    },
    /// No connection, or it was lost.
    #[error("{url} cannot be reached: {cause}; check that the service is up and that network policies let it through")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What the network said.
        cause: String,
        /// Whether the request may have arrived.
        sent: bool,
    },
    /// No answer within the timeout.
    #[error("{url} did not answer within {} s; check the load of the service, or raise the timeout", .after.as_secs_f32())]
    TimedOut {
        /// What was asked.
        url: String,
        /// The timeout.
        after: Duration,
        /// Whether the request may have arrived.
        sent: bool,
    },
    /// 401.
    #[error(
        "{url} does not accept the token (HTTP 401){detail}; put a valid token into the Secret that \
         auth.bearerTokenSecretRef names, or, if the service was made to accept this one, ask for a run with the \
         annotation directorysync.dev/requestedAt"
    )]
    Unauthorized {
        /// What was asked.
        url: String,
        /// What the service said.
        detail: String,
    },
    /// 403.
    #[error(
        "{url} forbids this to the token (HTTP 403){detail}; grant the token the right to read and write people and \
         groups"
    )]
    Forbidden {
        /// What was asked.
        url: String,
        /// What the service said.
        detail: String,
    },
    /// 404.
    #[error("{url} does not exist (HTTP 404){detail}; write as url the base below which /Users lies")]
    NotFound {
        /// What was asked.
        url: String,
        /// What the service said.
        detail: String,
    },
    /// A redirect, which is not followed: the token belongs to one host.
    #[error("{url} redirects to {to}, which is not followed; if that is the right place, write it as the url")]
    Redirected {
        /// What was asked.
        url: String,
        /// Where it points, without query.
        to: String,
    },
    /// 429.
    #[error("{url} asks to slow down (HTTP 429) and to come back in {} s; lower requestsPerSecond", .wait.as_secs())]
    RateLimited {
        /// What was asked.
        url: String,
        /// How long to wait.
        wait: Duration,
    },
    /// 5xx.
    #[error("{url} failed (HTTP {status}){detail}; look into the log of the service")]
    ServerError {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// What the service said.
        detail: String,
        /// How long the service asks to wait (`Retry-After`).
        wait: Option<Duration>,
    },
    /// Any other status that is no success.
    #[error("{url} refused the request (HTTP {status}){detail}")]
    Refused {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// `scimType` (RFC 7644 §3.12); empty where there is none.
        scim_type: String,
        /// What the service said.
        detail: String,
    },
    /// The object is not any more what the plan was made for.
    #[error("{url} was changed there since it was read; the next run plans it anew")]
    Changed {
        /// What was to be changed.
        url: String,
    },
    /// The answer is not SCIM.
    #[error("{url} answered with {found}, not with SCIM; write as url the base of the SCIM service")]
    NotScim {
        /// What was asked.
        url: String,
        /// What came instead.
        found: String,
    },
    /// The answer is longer than the cap.
    #[error("the answer of {url} is longer than {cap} bytes; ask for smaller pages with pageSize")]
    TooLarge {
        /// What was asked.
        url: String,
        /// The cap, in bytes.
        cap: usize,
    },
    /// A list came to an end that does not fit what it announced.
    #[error("the list {url} is incomplete: {what}; the next run reads it again")]
    ListIncomplete {
        /// What was read.
        url: String,
        /// What does not fit.
        what: String,
    },
    /// The read state machine refused the read.
    #[error("{0}")]
    Incomplete(#[from] IncompleteRead),
    /// The run was stopped while waiting.
    #[error("stopped before {url} was asked")]
    Stopped {
        /// What was to be asked.
        url: String,
    },
}

impl ScimError {
    /// Whether the service may have done what it was asked to do, although there was no proper answer.
    pub(super) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Unreachable { sent, .. } | Self::TimedOut { sent, .. } => *sent,
            // What a service does not implement it has not done.
            Self::ServerError { status, .. } => *status != 501,
            Self::TooLarge { .. } | Self::NotScim { .. } => true,
            _ => false,
        }
    }

    /// Whether there was no answer of the service at all.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(
            self,
            Self::HostUnknown { .. }
                | Self::CertificateUntrusted { .. }
                | Self::TlsFailed { .. }
                | Self::Unreachable { .. }
                | Self::TimedOut { .. }
        )
    }

    /// How long the service asks to wait.
    pub(super) fn asked_to_wait(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { wait, .. } => Some(*wait),
            Self::ServerError { wait, .. } => *wait,
            _ => None,
        }
    }

    /// Whether a value that has to be unique is another object's. Services say it by either (RFC 7644 §3.12).
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status, scim_type, .. } if *status == 409 || scim_type == "uniqueness")
    }

    /// Whether the object has another version than the one that was named (RFC 7644 §3.14).
    pub(super) fn is_other_version(&self) -> bool {
        self.refusal() == Some(412)
    }

    /// HTTP status, where the service refused the request with one.
    pub(super) fn refusal(&self) -> Option<u16> {
        match self {
            Self::NotFound { .. } => Some(404),
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether this is about the service and not about one object: other requests would meet it too.
    pub(super) fn is_general(&self) -> bool {
        !matches!(self, Self::NotFound { .. } | Self::Refused { .. } | Self::TooLarge { .. } | Self::Changed { .. })
    }
}

impl Classified for ScimError {
    fn disposition(&self) -> Disposition {
        match self {
            Self::PlaintextRefused { .. }
            | Self::BadUrl { .. }
            | Self::BadCa { .. }
            | Self::BadToken { .. }
            | Self::NoTls { .. }
            | Self::Unauthorized { .. } => Disposition::Stall,
            Self::RateLimited { wait, .. } | Self::ServerError { wait: Some(wait), .. } => Disposition::Wait(*wait),
            Self::Incomplete(incomplete) => incomplete.disposition(),
            // All of these can be mended at the service, where nobody tells the operator of it.
            Self::HostUnknown { .. }
            | Self::CertificateUntrusted { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Redirected { .. }
            | Self::NotScim { .. }
            | Self::TlsFailed { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::ServerError { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::Changed { .. }
            | Self::ListIncomplete { .. }
            | Self::Stopped { .. } => Disposition::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::PlaintextRefused { .. } => "TargetPlaintextRefused",
            Self::BadUrl { .. } => "TargetUrlInvalid",
            Self::BadCa { .. } => "TargetCaInvalid",
            Self::BadToken { .. } => "TargetTokenInvalid",
            Self::NoTls { .. } | Self::TlsFailed { .. } => "TargetTlsFailed",
            Self::HostUnknown { .. } => "TargetHostUnknown",
            Self::CertificateUntrusted { .. } => "TargetCertificateUntrusted",
            Self::Unreachable { .. } | Self::TimedOut { .. } => "TargetUnavailable",
            Self::Unauthorized { .. } => "TargetAuthFailed",
            Self::Forbidden { .. } => "TargetForbidden",
            Self::NotFound { .. } => "TargetNotFound",
            Self::Redirected { .. } => "TargetRedirects",
            Self::RateLimited { .. } => "TargetRateLimited",
            Self::ServerError { .. } => "TargetServerError",
            Self::Refused { .. } => "TargetRefused",
            Self::Changed { .. } => "TargetObjectChanged",
            Self::NotScim { .. } => "TargetNotScim",
            Self::TooLarge { .. } => "TargetAnswerTooLarge",
            Self::Incomplete(IncompleteRead::CapExceeded { .. } | IncompleteRead::Full { .. }) => "TargetReadTooLarge",
            Self::ListIncomplete { .. } | Self::Incomplete(_) => "TargetReadIncomplete",
            Self::Stopped { .. } => "Stopped",
        }
    }

    fn quoted(&self) -> Vec<&str> {
        match self {
            Self::Unauthorized { detail, .. }
            | Self::Forbidden { detail, .. }
            | Self::NotFound { detail, .. }
            | Self::ServerError { detail, .. }
            | Self::Refused { detail, .. } => vec![detail],
            Self::Redirected { to, .. } => vec![to],
            _ => Vec::new(),
        }
    }
}

/// Tells what kept a request from being answered.
pub(super) fn of_transport(error: &reqwest::Error, url: String, timeout: Duration) -> ScimError {
    let sent = !error.is_connect();
    if let Some(tls) = find::<rustls::Error>(error) {
        let cause = tls.to_string();
        return match tls {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                ScimError::CertificateUntrusted { url, cause }
            }
            _ => ScimError::TlsFailed { url, cause },
        };
    }
    if error.is_timeout() {
        return ScimError::TimedOut { url, after: timeout, sent };
    }
    let cause = chain(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    if !sent && chain(error).any(|error| error.to_string().starts_with("dns error")) {
        return ScimError::HostUnknown { url };
    }
    ScimError::Unreachable { url, cause, sent }
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// Finds an error in a chain, also where an I/O error wraps it: `io::Error::source` skips what it wraps.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    chain(error).find_map(|error| {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        error.downcast_ref().or_else(|| inner.and_then(|inner| find_in(inner)))
    })
}

fn find_in<'e, E: Error + 'static>(error: &'e (dyn Error + Send + Sync + 'static)) -> Option<&'e E> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref().or_else(|| inner.and_then(|inner| find_in(inner)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_too_large_is_tried_again_and_a_refused_token_is_not() {
        let url = || "https://app.example.com/scim/v2/Users".to_owned();
        assert_eq!(ScimError::TooLarge { url: url(), cap: 1 }.disposition(), Disposition::Retry);
        let refused = ScimError::Unauthorized { url: url(), detail: String::new() };
        assert_eq!(refused.disposition(), Disposition::Stall);
        assert!(refused.to_string().ends_with("ask for a run with the annotation directorysync.dev/requestedAt"));
    }

    #[test]
    fn unquoted_an_error_repeats_nothing_that_the_service_said() {
        let (url, detail) = (|| "https://app.example.com/Users".to_owned(), || ": ada@example.com is taken".to_owned());
        for error in [
            ScimError::Unauthorized { url: url(), detail: detail() },
            ScimError::Forbidden { url: url(), detail: detail() },
            ScimError::NotFound { url: url(), detail: detail() },
            ScimError::ServerError { url: url(), status: 500, detail: detail(), wait: None },
            ScimError::Refused { url: url(), status: 409, scim_type: "ada".to_owned(), detail: detail() },
            ScimError::Redirected { url: url(), to: "https://app.example.com/login/ada@example.com".to_owned() },
        ] {
            assert!(error.to_string().contains("ada@example.com"), "{error}");
            let own = error.unquoted();
            assert!(own.starts_with(&url()) && !own.contains("ada"), "{own}");
        }
        let unreachable = ScimError::Unreachable { url: url(), cause: "connection refused".to_owned(), sent: false };
        assert_eq!(unreachable.unquoted(), unreachable.to_string());
    }
}
