//! A service with a SCIM 2.0 interface (RFC 7643, RFC 7644, RFC 9865).

mod attribute;
mod client;
mod config;
mod discovery;
mod error;
mod list;
mod members;
mod read;
mod resources;
mod retry;
mod send;
mod write;

pub use config::{PagingChoice, ScimConfig, UpdateChoice, identity};
pub use error::ScimError;

use crate::{Target, TargetError};
use async_trait::async_trait;
use client::Client;
use directory_sync_core::applied::{Applied, Outcome};
use directory_sync_core::capabilities::Capabilities;
use directory_sync_core::gate::Approved;
use directory_sync_core::read::{CompleteRead, TargetSide};
use discovery::Profile;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// One SCIM service. What it says about itself is asked once per value of this type.
#[derive(Debug)]
pub struct ScimTarget {
    config: ScimConfig,
    client: Client,
    profile: OnceCell<Profile>,
}

impl ScimTarget {
    /// Checks the configuration; nothing is sent.
    pub fn new(config: ScimConfig) -> Result<Self, ScimError> {
        Ok(Self { client: Client::new(&config)?, config, profile: OnceCell::new() })
    }

    async fn profile(&self) -> Result<&Profile, ScimError> {
        self.profile.get_or_try_init(|| discovery::discover(&self.client, &self.config)).await
    }
}

#[async_trait]
impl Target for ScimTarget {
    fn kind(&self) -> &'static str {
        "scim"
    }

    async fn discover(&self) -> Result<Capabilities, TargetError> {
        Ok(self.profile().await?.capabilities(identity(&self.config.url)))
    }

    async fn read(&self) -> Result<CompleteRead<TargetSide>, TargetError> {
        Ok(read::read(&self.client, self.profile().await?).await?)
    }

    async fn send(
        &self,
        approved: Approved<'_>,
        answered: &(dyn for<'o> Fn(&'o Outcome) + Send + Sync),
        stop: &CancellationToken,
    ) -> Applied {
        send::send(&self.client.until(stop), self.profile().await, &self.config, approved, answered, stop).await
    }
}
