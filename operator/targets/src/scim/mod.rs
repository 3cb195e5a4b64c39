//! A service with a SCIM 2.0 interface (RFC 7643, RFC 7644, RFC 9865).

mod attribute;
mod client;
mod config;
mod discovery;
mod error;
mod list;
mod read;
mod retry;

pub use config::{PagingChoice, ScimConfig, UpdateChoice};
pub use error::ScimError;
