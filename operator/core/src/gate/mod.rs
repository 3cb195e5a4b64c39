//! The gate: which operations of a confirmed plan may be sent, and which wait and why.

mod approved;

pub use approved::{Approved, ApprovedOperation};
