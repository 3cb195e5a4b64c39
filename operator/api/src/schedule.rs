//! When runs happen.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// When runs happen. After a time in which the operator was not running, one run makes up for all
/// that were missed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Due times as five cron fields: minute, hour, day of month, month, day of week. By default
    /// every full hour.
    #[serde(default = "default_cron")]
    #[schemars(length(min = 9, max = 128), regex(pattern = r"^\s*\S+(\s+\S+){4}\s*$"))]
    pub cron: String,
    /// Time zone of the due times, by its IANA name such as `Europe/Berlin`.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+)*$"))]
    pub time_zone: String,
    /// Each run starts up to this much later than it is due, by an amount that stays the same for
    /// this resource, so that many resources do not run at once.
    #[serde(default = "default_jitter")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub jitter: String,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { cron: default_cron(), time_zone: default_time_zone(), jitter: default_jitter() }
    }
}

fn default_cron() -> String {
    "0 * * * *".into()
}

fn default_time_zone() -> String {
    "UTC".into()
}

fn default_jitter() -> String {
    "1m".into()
}
