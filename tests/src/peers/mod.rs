//! The software around the operator, run as it is: nothing here imitates what it stands for.
//!
//! Each peer listens on the loopback interface only, keeps its data and logs in a temporary folder, is ready when its
//! `start` returns, and is gone when it is dropped.

pub mod company;
pub mod control_plane;
pub mod directory_389;
pub mod helm;
pub mod helm_unittest;
pub mod kubectl;
pub mod ldap_account;
pub mod operator;
pub mod processes;
pub mod samba;
pub mod scim2_server;
pub mod slapd;
pub mod tls;
pub mod tools;
