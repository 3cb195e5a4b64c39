//! Why a run did not come to its end.

use crate::cluster::ClusterError;
use crate::connect::ConnectError;
use crate::reconcile::mapped::MapsNobody;
use crate::schedule::ScheduleError;
use crate::shared_reads::ReadFailure;
use crate::store::StoreError;
use directory_sync_api::conditions::{Cause, Health};
use directory_sync_api::convert::ConvertError;
use directory_sync_core::disposition::{Classified, Disposition};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;

/// Why a run did not come to its end. The plan before it still stands.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The spec cannot be used.
    #[error(transparent)]
    Spec(#[from] ConvertError),
    /// The schedule cannot be followed.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Something that the spec refers to is missing.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The source was not read whole.
    #[error("{0}")]
    Source(Box<dyn Classified>),
    /// The mapping finds nobody.
    #[error(transparent)]
    Mapped(#[from] MapsNobody),
    /// The target was not read whole.
    #[error("{0}")]
    Target(Box<dyn Classified>),
    /// Plans, state or approvals could not be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The API server did not do what was asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The resource is another than when the run began.
    #[error("the resource was changed while the run was under way, so nothing was sent; the next run follows at once")]
    Superseded,
    /// A mistake in the operator itself.
    #[error(
        "a mistake in the operator itself ended the run; please report it with the lines of the log before this one. \
         Other resources go on"
    )]
    Panicked,
    /// The operator ends.
    #[error("the operator ends, so nothing was sent; the next run follows when it is back")]
    Stopped,
}

impl ReconcileError {
    fn inner(&self) -> Option<&dyn Classified> {
        match self {
            Self::Spec(error) => Some(error),
            Self::Schedule(error) => Some(error),
            Self::Connect(error) => Some(error),
            Self::Source(error) | Self::Target(error) => Some(error.as_ref()),
            Self::Mapped(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Cluster(error) => Some(error),
            Self::Superseded | Self::Stopped | Self::Panicked => None,
        }
    }

    /// Whether the run was given up before it did anything, for a cause that is no failure. What made it due still
    /// does.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Superseded | Self::Stopped)
    }

    /// Reason and sentence for the conditions.
    pub fn cause(&self) -> Cause {
        Cause::new(self.reason(), self.to_string())
    }

    /// What is learnt about the source and the target, where `cause` is what the conditions say.
    pub fn health(&self, cause: &Cause) -> (Health, Health) {
        match self {
            Self::Source(_) | Self::Connect(ConnectError::Ldap(_) | ConnectError::Google(_)) => {
                (Health::Unhealthy(cause.clone()), Health::Unchanged)
            }
            Self::Target(_) | Self::Connect(ConnectError::Scim(_)) => {
                (Health::Unchanged, Health::Unhealthy(cause.clone()))
            }
            _ => (Health::Unchanged, Health::Unchanged),
        }
    }
}

impl From<ReadFailure> for ReconcileError {
    fn from(failure: ReadFailure) -> Self {
        match failure {
            ReadFailure::Panicked => Self::Panicked,
            failure @ ReadFailure::Source(_) => Self::Source(failure.into()),
        }
    }
}

impl Classified for ReconcileError {
    fn disposition(&self) -> Disposition {
        self.inner().map_or(Disposition::Retry, Classified::disposition)
    }

    fn reason(&self) -> &'static str {
        match self.inner() {
            Some(error) => error.reason(),
            None => match self {
                Self::Stopped => "Stopped",
                Self::Panicked => "InternalError",
                _ => "SpecChanged",
            },
        }
    }

    fn quoted(&self) -> Vec<&str> {
        self.inner().map(Classified::quoted).unwrap_or_default()
    }
}

/// Makes a panic an error like any other, so that a mistake that one resource brings to light does not end the runs of
/// all others. Nothing is shared that half a run could leave behind: whoever holds a lock or a permit gives it back.
pub async fn contained<T>(run: impl Future<Output = Result<T, ReconcileError>>) -> Result<T, ReconcileError> {
    AssertUnwindSafe(run).catch_unwind().await.unwrap_or(Err(ReconcileError::Panicked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_used_are_told_of_the_side_they_belong_to() {
        use directory_sync_sources::google::GoogleError;
        use directory_sync_sources::ldap::LdapError;
        use directory_sync_targets::scim::ScimError;
        let url = || "https://example.com".to_owned();
        let of_source = [
            ConnectError::Google(GoogleError::PlaintextRefused { url: url() }),
            ConnectError::Ldap(LdapError::PlaintextRefused { url: url() }),
        ];
        for error in of_source {
            let error = ReconcileError::Connect(error);
            let health = error.health(&error.cause());
            assert!(matches!(health, (Health::Unhealthy(_), Health::Unchanged)), "{health:?}");
        }
        let of_target = ReconcileError::Connect(ConnectError::Scim(ScimError::PlaintextRefused { url: url() }));
        assert!(matches!(of_target.health(&of_target.cause()), (Health::Unchanged, Health::Unhealthy(_))));
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_run_that_is_tried_again() {
        let error = contained::<()>(async { panic!("a mistake") }).await.unwrap_err();
        assert_eq!((error.reason(), error.disposition()), ("InternalError", Disposition::Retry));
        assert!(!error.is_interruption());
    }
}
