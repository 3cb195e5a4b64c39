//! Why a spec does not lead to a source and a target.

use super::{Kind, ReferenceError};
use directory_sync_api::convert::ConvertError;
use directory_sync_core::disposition::{Classified, Disposition};
use directory_sync_core::password::KeyTooShort;
use directory_sync_sources::google::GoogleError;
use directory_sync_sources::ldap::LdapError;
use directory_sync_targets::scim::ScimError;

/// A reference, and where in the spec it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path of the field.
    pub path: String,
    /// What is referred to.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// Why a spec does not lead to a source and a target. No value of a Secret is in any of these.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Part of a union is missing.
    #[error("{path}: write {what}")]
    Missing {
        /// Path of the field.
        path: &'static str,
        /// What has to be there.
        what: &'static str,
    },
    /// The spec contradicts itself or cannot be read.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// It is not known whether a reference is there.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A Secret or ConfigMap does not exist.
    #[error("{}: there is no {} named {} in the namespace of the resource; create it", .0.path, .0.kind, .0.name)]
    NotFound(Place),
    /// It has no such key.
    #[error("{}: the {} {} has no key `{key}`; add it", .place.path, .place.kind, .place.name)]
    NoKey {
        /// The reference.
        place: Place,
        /// The key that is missing.
        key: String,
    },
    /// A value is empty.
    #[error("{}: `{key}` of the {} {} is empty; write the value into it", .place.path, .place.kind, .place.name)]
    Empty {
        /// The reference.
        place: Place,
        /// Its key.
        key: String,
    },
    /// A value is not text.
    #[error("{}: `{key}` of the {} {} is not text in UTF-8", .place.path, .place.kind, .place.name)]
    NotText {
        /// The reference.
        place: Place,
        /// Its key.
        key: String,
    },
    /// A key for fingerprints is too short.
    #[error("{}: `{key}` of the {} {} is too short: {error}", .place.path, .place.kind, .place.name)]
    KeyTooShort {
        /// The reference.
        place: Place,
        /// Its key.
        key: String,
        /// How short it is, and how long it has to be.
        error: KeyTooShort,
    },
    /// A number or a URL of the spec cannot be used.
    #[error("{path}: {message}")]
    Invalid {
        /// Path of the field.
        path: &'static str,
        /// What is wrong and what to write instead.
        message: String,
    },
    /// The settings of the source cannot be used.
    #[error(transparent)]
    Ldap(#[from] LdapError),
    /// The settings of the source cannot be used.
    #[error(transparent)]
    Google(#[from] GoogleError),
    /// The settings of the target cannot be used.
    #[error(transparent)]
    Scim(#[from] ScimError),
}

impl Classified for ConnectError {
    fn disposition(&self) -> Disposition {
        match self {
            Self::Reference(error) => error.disposition(),
            Self::Ldap(error) => error.disposition(),
            Self::Google(error) => error.disposition(),
            Self::Scim(error) => error.disposition(),
            Self::Convert(error) => error.disposition(),
            Self::Missing { .. }
            | Self::NotFound(_)
            | Self::NoKey { .. }
            | Self::Empty { .. }
            | Self::NotText { .. }
            | Self::KeyTooShort { .. }
            | Self::Invalid { .. } => Disposition::Stall,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Reference(error) => error.reason(),
            Self::Ldap(error) => error.reason(),
            Self::Google(error) => error.reason(),
            Self::Scim(error) => error.reason(),
            Self::Convert(error) => error.reason(),
            Self::NotFound(_) => "ReferenceNotFound",
            Self::NoKey { .. } | Self::Empty { .. } | Self::NotText { .. } | Self::KeyTooShort { .. } => {
                "ReferenceKeyUnusable"
            }
            Self::Missing { .. } | Self::Invalid { .. } => "InvalidSpec",
        }
    }

    fn quoted(&self) -> Vec<&str> {
        match self {
            Self::Ldap(error) => error.quoted(),
            Self::Google(error) => error.quoted(),
            Self::Scim(error) => error.quoted(),
            _ => Vec::new(),
        }
    }
}
