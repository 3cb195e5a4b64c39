//! Calls to the API server: each bounded in time, each failure with a name and a sentence.

use directory_sync_core::disposition::{Classified, Disposition};
use kube::core::Status;
use std::time::Duration;

/// Longest wait for one answer, the client's own repetitions included. Those are many and may sleep for minutes.
pub const CALL_LIMIT: Duration = Duration::from_secs(30);

/// The field manager of status and finalizers. A change would orphan the fields of existing resources.
pub const FIELD_MANAGER: &str = "directory-sync-operator-status";

/// Why the API server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It did not answer.
    #[error("the Kubernetes API server did not answer within {} s when asked to {what}", CALL_LIMIT.as_secs())]
    TimedOut {
        /// What was asked.
        what: &'static str,
    },
    /// A right is missing: the operator's, or that of a person who plans with a cluster.
    #[error("this account may not {what}: {message}; grant it the right, as the chart's roles do for the operator")]
    Forbidden {
        /// What was asked.
        what: &'static str,
        /// The API server's words.
        message: String,
    },
    /// It refused.
    #[error("the Kubernetes API server refused to {what} ({code} {reason}): {message}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// HTTP status.
        code: u16,
        /// The reason of a Kubernetes `Status`, such as `Conflict`.
        reason: String,
        /// The API server's words.
        message: String,
    },
    /// There was no answer, or none that could be read.
    #[error("the Kubernetes API server could not be asked to {what}: {source}")]
    Unavailable {
        /// What was asked.
        what: &'static str,
        /// Why not.
        source: Box<kube::Error>,
    },
}

impl ClusterError {
    fn of(what: &'static str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 403 => {
                let Status { message, .. } = *status;
                Self::Forbidden { what, message }
            }
            kube::Error::Api(status) => {
                let Status { code, reason, message, .. } = *status;
                Self::Refused { what, code, reason, message }
            }
            error => Self::Unavailable { what, source: Box::new(error) },
        }
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Whether somebody else wrote first, or the object is there already.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// Whether the object itself was refused: too large, or not what the schema allows.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Refused { code: 400 | 413 | 422, .. })
            // An answer of etcd about a request over its limit reaches the client as an internal error.
            || matches!(self, Self::Refused { code: 500, message, .. } if message.contains("too large"))
    }
}

impl Classified for ClusterError {
    fn disposition(&self) -> Disposition {
        // Even a missing right is granted without the resource changing.
        Disposition::Retry
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "KubernetesForbidden",
            Self::Refused { .. } => "KubernetesRefused",
            Self::TimedOut { .. } | Self::Unavailable { .. } => "KubernetesUnavailable",
        }
    }
}

/// Makes one call. `what` completes the sentence "this account may not …".
pub async fn call<T>(what: &'static str, call: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(ClusterError::of(what, error)),
        Err(_) => Err(ClusterError::TimedOut { what }),
    }
}

/// What is found, or `None` where a call found nothing there.
pub fn found<T>(answer: Result<T, ClusterError>) -> Result<Option<T>, ClusterError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16) -> ClusterError {
        let status = Status { code, message: "no".to_owned(), ..Status::default() };
        ClusterError::of("read the Secret", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn what_is_not_there_is_no_failure() {
        assert!(found::<()>(Err(answered(404))).unwrap().is_none());
        assert!(found::<()>(Err(answered(403))).is_err());
    }

    #[test]
    fn a_missing_right_says_what_may_not_be_done() {
        let sentence = answered(403).to_string();
        assert!(sentence.contains("may not read the Secret"), "{sentence}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends() {
        let error = call::<()>("read the Secret", std::future::pending()).await.unwrap_err();
        assert_eq!(error.reason(), "KubernetesUnavailable");
    }
}
