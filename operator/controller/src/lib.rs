//! The controller: brings every `DirectorySync` to run when it is due, and makes each run read, plan, confirm, judge,
//! send and report.
//!
//! [`reconcile`] is one run in six steps. Around it: [`operator`] watches the kinds and decides with [`due`] when a
//! run is due; [`store`] keeps plans, state and approvals; [`connect`] turns a spec and its Secrets into a source and
//! a target; [`shared_reads`] lets resources with one source use one read.

pub mod backoff;
pub mod cluster;
pub mod connect;
pub mod due;
pub mod events;
pub mod exclusive;
pub mod health;
pub mod metrics;
pub mod operator;
pub mod reasons;
pub mod reconcile;
pub mod schedule;
pub mod server;
pub mod shared_reads;
pub mod status;
pub mod store;
