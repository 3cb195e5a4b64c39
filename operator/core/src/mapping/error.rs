//! What is wrong with a mapping, and what is wrong with an entry.

use super::ExpressionError;
use crate::Disposition;
use crate::disposition::Classified;

/// Why a mapping cannot be used. `field` is the path below `mapping`: `user.orgUnit`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A field that everything hangs on is not mapped.
    #[error("{field} has no mapping: write `attribute:` with the attribute that holds it, for instance `{example}`")]
    Missing {
        /// Path of the field.
        field: String,
        /// An attribute that usually holds it.
        example: &'static str,
    },
    /// The name cannot be that of an attribute.
    #[error(
        "{field}.attribute: `{name}` is no attribute name: write a name such as `mail`, letters, digits and hyphens, \
         with options after semicolons where needed (`cn;lang-de`)"
    )]
    AttributeName {
        /// Path of the field.
        field: String,
        /// The name as written.
        name: String,
    },
    /// The CEL expression cannot be used.
    #[error("{field}.cel: {error}")]
    Expression {
        /// Path of the field.
        field: String,
        /// What is wrong, with the place in the expression.
        error: ExpressionError,
    },
    /// A fixed value where every object needs its own.
    #[error("{field}.value: a fixed value would be the same for everybody: use `attribute` or `cel`")]
    FixedValue {
        /// Path of the field.
        field: String,
    },
    /// A fixed value for a yes-or-no field that is neither.
    #[error("{field}.value: `{value}` is neither `true` nor `false`")]
    NotBoolean {
        /// Path of the field.
        field: String,
        /// The value as written.
        value: String,
    },
    /// Passwords are taken by the field for them alone.
    #[error("{field}: `{name}` holds passwords, which are shown to nobody: map it as user.password, or leave it out")]
    SecretAttribute {
        /// Path of the field.
        field: String,
        /// The attribute.
        name: String,
    },
    /// Members are taken from an attribute only.
    #[error("{field}: members come from an attribute as they are: use `attribute`, for instance `member`")]
    MembersNotAttribute {
        /// Path of the field.
        field: String,
    },
    /// Two further attributes of one name.
    #[error("{field} is mapped twice: remove one of the two")]
    Duplicate {
        /// Path of the field.
        field: String,
    },
}

impl Classified for MappingError {
    fn disposition(&self) -> Disposition {
        Disposition::Stall
    }

    fn reason(&self) -> &'static str {
        "InvalidMapping"
    }
}

/// The entry has no immutable id and therefore cannot become a person or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entry has no immutable id")]
pub struct Unmapped;
