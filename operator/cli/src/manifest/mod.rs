//! Manifests as a person writes them.

mod stream;

pub use stream::Manifests;
