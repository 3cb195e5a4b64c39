//! What the tests and the demo run the operator against.

pub mod audit;
pub mod google_directory;
pub mod http_server;
pub mod ldap_server;
pub mod peers;
pub mod resources;
pub mod story;
pub mod tls_proxy;
