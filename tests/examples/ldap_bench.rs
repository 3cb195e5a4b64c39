//! Reads a directory of 100,000 people with the operator's LDAP source and with `ldapsearch`, in turns, and compares.
//!
//! `cargo run --release -p directory-sync-tests --example ldap_bench [people] [rounds]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[allow(dead_code, reason = "groups are not measured")]
#[path = "../tests/ldap_mapping/mod.rs"]
mod ldap_mapping;

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use directory_sync_sources::ldap::{Bind, LdapConfig, LdapSource, Scope, Search, Tls};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};

const BASE_DN: &str = "ou=People,dc=example,dc=com";
const FILTER: &str = "(objectClass=inetOrgPerson)";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let people: usize = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(7), |text| text.parse())?;
    println!("loading {people} people into slapd");
    let slapd = Slapd::start(&SlapdOptions::default(), &Company::of_size(people, 0, 0)).await?;
    let mapping = ldap_mapping::people();
    let attributes = mapping.attributes().to_vec();
    let bind = Bind::Simple { username: READER_DN.to_owned(), password: slapd.reader_password().clone() };
    let source = LdapSource::new(LdapConfig {
        tls: Tls { plaintext: true, ..Tls::default() },
        users: vec![Search { base_dn: BASE_DN.to_owned(), scope: Scope::Subtree, filter: FILTER.to_owned() }],
        ..LdapConfig::new(vec![slapd.url()], bind, mapping)
    })?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let before = resident_peak()?;
    for round in 0..=rounds {
        let start = Instant::now();
        let read = source.read_all().await?;
        let us = start.elapsed();
        ensure!(read.snapshot().counts().users == people as u64, "not everybody was read");

        let mut ldapsearch = slapd.search_command(&slapd.url())?;
        ldapsearch.args(["-b", BASE_DN, "-E", "pr=1000/noprompt", FILTER]).args(&attributes).stdout(Stdio::null());
        let start = Instant::now();
        let status = tokio::process::Command::from(ldapsearch).status().await?;
        let them = start.elapsed();
        ensure!(status.success(), "ldapsearch failed");
        // The first round warms the caches of the server.
        if round > 0 {
            println!("round {round}: {:.3} s, ldapsearch {:.3} s", us.as_secs_f64(), them.as_secs_f64());
            ours.push(us);
            theirs.push(them);
        }
    }
    let (us, them) = (median(ours), median(theirs));
    println!(
        "{people} people, {rounds} rounds, medians: {:.3} s, ldapsearch {:.3} s, ratio {:.2}; peak memory {} MiB ({before} MiB before)",
        us.as_secs_f64(),
        them.as_secs_f64(),
        us.as_secs_f64() / them.as_secs_f64(),
        resident_peak()?,
    );
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The most memory this process ever held, in MiB.
fn resident_peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}
