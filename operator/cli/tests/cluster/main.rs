//! The command line beside a real cluster, in which the operator runs as the process that it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod approving;
mod plan_context;
mod scene;
