//! Reads a simulated Google directory, and sets the time against the fewest seconds that its pacing allows.
//!
//! `cargo xtask bench google [people] [groups] [requests per second]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../tests/google/mod.rs"]
mod google;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use directory_sync_sources::google::{GoogleConfig, GoogleSource, Timeouts};
use directory_sync_tests::google_directory::{GoogleDirectory, Tenant};
use serde_json::json;

/// Members of each group, fewer than fit on a page.
const MEMBERS: usize = 50;
/// The most time, as a multiple of what the pacing alone needs: more would be ours.
const GOAL: f64 = 1.05;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (people, groups, per_second) = (next(100_000)?, next(2_000)?, next(30)?);
    println!("making {people} people and {groups} groups");
    let mut tenant = Tenant::with_administrator();
    let ids: Vec<String> = (0..people).map(|n| tenant.user(&format!("u{n}@example.com"), json!({}))).collect();
    for n in 0..groups {
        let group = tenant.group(&format!("g{n}@example.com"));
        let members: Vec<&str> =
            (0..MEMBERS).filter_map(|m| ids.get((n * 7 + m * 31) % people)).map(String::as_str).collect();
        tenant.join_users(&group, &members);
    }
    let directory = GoogleDirectory::start(tenant).await?;
    let rate = NonZeroU32::new(u32::try_from(per_second)?).context("a rate is more than nothing")?;
    let config = GoogleConfig {
        requests_per_second: rate,
        timeouts: Timeouts::default(),
        ..google::config_for(&directory.url(), &directory.key_file()?)
    };
    let source = GoogleSource::new(config)?;
    let start = Instant::now();
    let read = source.read_all().await?;
    let took = start.elapsed();
    let counts = read.snapshot().counts();
    ensure!(counts.users == people as u64 + 1 && counts.groups == groups as u64, "not everything was read");
    let requests = directory.received().len() - 1;
    // As many requests as a second allows go out at once in the beginning.
    let least = Duration::from_secs_f64(requests.saturating_sub(per_second) as f64 / per_second as f64);
    ensure!(!least.is_zero(), "{requests} requests are too few for the pacing to matter");
    let ratio = took.as_secs_f64() / least.as_secs_f64();
    println!(
        "{people} people, {groups} groups: {requests} requests in {:.1} s; at {per_second} a second they take at least \
         {:.1} s, ratio {ratio:.2} (goal: at most {GOAL})",
        took.as_secs_f64(),
        least.as_secs_f64(),
    );
    ensure!(ratio <= GOAL, "the reader and not the pacing was what took the time");
    Ok(())
}
