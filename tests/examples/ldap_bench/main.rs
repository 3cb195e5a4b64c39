//! Reads directories with the operator's LDAP source and with `ldapsearch`, in turns, and compares. Each reader is a
//! process of its own, from its start to its end; the operator's holds the whole snapshot at the end.
//!
//! `cargo xtask bench ldap [people] [large] [group] [samba] [--rounds N]`; without names all but `large`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../../tests/ldap_mapping/mod.rs"]
mod ldap_mapping;
mod process;
mod reader;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::company::active_directory;
use directory_sync_tests::peers::samba::SambaDomainController;
use directory_sync_tests::peers::slapd::{Slapd, SlapdOptions};

use process::{Measured, measure};
use reader::{Account, Subject};

/// What is to be achieved.
#[derive(Clone, Copy, Debug, Default)]
struct Goal {
    /// Wall time as a multiple of that of `ldapsearch`.
    ratio: Option<f64>,
    /// Peak memory in MiB.
    memory: Option<u64>,
}

/// A directory that is served, and how both readers are told of it.
struct Served {
    account: Account,
    /// `ldapsearch` for the same account, with everything but what to search for.
    search: Box<dyn Fn() -> Result<Command>>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [read, subject] = arguments.as_slice()
        && read == "read"
    {
        return reader::read(subject.parse()?).await;
    }
    let mut rounds = None;
    if let Some(position) = arguments.iter().position(|argument| argument == "--rounds") {
        arguments.remove(position);
        ensure!(position < arguments.len(), "--rounds takes a number");
        rounds = Some(arguments.remove(position).parse()?);
    }
    let mut subjects = arguments.iter().map(|name| name.parse()).collect::<Result<Vec<Subject>>>()?;
    if subjects.is_empty() {
        subjects = vec![Subject::People, Subject::Group, Subject::Samba];
    }
    let mut missed = Vec::new();
    for subject in subjects {
        let rounds = rounds.unwrap_or(if subject == Subject::Large { 3 } else { 7 });
        missed.extend(compare(subject, rounds).await?);
    }
    ensure!(missed.is_empty(), "missed: {}", missed.join("; "));
    Ok(())
}

/// Measures both readers of one directory, and says which goals were missed.
async fn compare(subject: Subject, rounds: usize) -> Result<Vec<String>> {
    let name = subject.name();
    let (served, goal) = match subject {
        Subject::People => (serve_people(100_000, None).await?, Goal { ratio: Some(1.15), memory: None }),
        Subject::Large => (serve_people(1_000_000, None).await?, Goal { ratio: Some(1.1), memory: Some(400) }),
        Subject::Group => (serve_people(100_000, Some(100_000)).await?, Goal { ratio: Some(1.5), memory: None }),
        Subject::Samba => (serve_samba().await?, Goal::default()),
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let us = measure(&mut served.account.reader(subject)?).context("the operator's reader failed")?;
        let mut them = Measured::default();
        for search in subject.searches() {
            let mut ldapsearch = (served.search)()?;
            ldapsearch.args(search);
            them = them.and(measure(&mut ldapsearch).context("ldapsearch failed")?);
        }
        // The first round warms the caches of the server.
        if round > 0 {
            println!("  round {round}: {us}, ldapsearch {them}");
            ours.push(us);
            theirs.push(them);
        }
    }
    let (us, them) = (typical(&ours), typical(&theirs));
    let ratio = us.wall.as_secs_f64() / them.wall.as_secs_f64();
    println!("{name}, {rounds} rounds, medians of time and peaks of memory: {us}; ldapsearch {them}; ratio {ratio:.2}");
    let mut missed = Vec::new();
    if let Some(most) = goal.ratio {
        println!("  goal: a ratio of at most {most}");
        if ratio > most {
            missed.push(format!("{name}: a ratio of {ratio:.2} instead of {most}"));
        }
    }
    if let Some(most) = goal.memory {
        println!("  goal: at most {most} MiB");
        if us.peak_mebibytes() > most {
            missed.push(format!("{name}: {} MiB instead of {most}", us.peak_mebibytes()));
        }
    }
    Ok(missed)
}

/// OpenLDAP with people, and with one group of so many of them.
async fn serve_people(people: usize, members: Option<usize>) -> Result<Served> {
    println!("loading {people} people into slapd");
    let company = Company::of_size(people, usize::from(members.is_some()), members.unwrap_or(0));
    let slapd = Slapd::start(&SlapdOptions::default(), &company).await?;
    let account = Account { url: slapd.url(), password: slapd.reader_password().clone(), authority: None };
    let url = slapd.url();
    Ok(Served { account, search: Box::new(move || slapd.search_command(&url)) })
}

/// Samba with its 2,000 people, and the group of 1,800 of them that it gives out in ranges.
async fn serve_samba() -> Result<Served> {
    println!("starting Samba with {} people", active_directory::STAFF.len());
    let controller = SambaDomainController::start().await?;
    let authority = tempfile::NamedTempFile::new()?;
    std::fs::write(authority.path(), controller.authority().certificate_pem())?;
    let account = Account {
        url: controller.ldaps_url(),
        password: controller.reader_password().clone(),
        authority: Some(authority.path().to_owned()),
    };
    let url = controller.ldaps_url();
    let search = move || {
        // The file has to be there as long as the server.
        let _ = &authority;
        controller.search_command(&url)
    };
    Ok(Served { account, search: Box::new(search) })
}

/// The median of the times, and the most memory.
fn typical(measured: &[Measured]) -> Measured {
    let mut walls: Vec<Duration> = measured.iter().map(|one| one.wall).collect();
    walls.sort_unstable();
    Measured {
        wall: walls.get(walls.len() / 2).copied().unwrap_or_default(),
        peak: measured.iter().map(|one| one.peak).max().unwrap_or_default(),
    }
}
