//! What the tests and the demo run the operator against.

pub mod peers;
