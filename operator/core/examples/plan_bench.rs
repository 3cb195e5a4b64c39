//! Plans large synthetic directories, each several times in a process of its own, and says how long it took and how
//! much memory the whole process needed. Fails above the budgets.
//!
//! `cargo xtask bench plan`; with a number of people after it, that size once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use directory_sync_core::capabilities::{Capabilities, Field, Fields};
use directory_sync_core::plan::{self, WarningKind};
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, Side};
use directory_sync_core::rules::Rules;
use directory_sync_core::snapshot::{GroupRecord, UserRecord};
use directory_sync_core::state::{Bindings, State, Times};
use std::fmt::Write as _;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// People per group, and changed people and memberships.
const MEMBERS: usize = 50;
const CHANGED: usize = 1000;

/// A permutation of `0..count` without a table: the sides come in different orders.
fn shuffled(at: usize, count: usize, is_target: bool) -> usize {
    if is_target { (at * 7_919 + 13) % count } else { at }
}

fn uuid(kind: u64, number: usize, into: &mut String) {
    let mut bits = (number as u64 ^ kind).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    into.clear();
    write!(
        into,
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        bits >> 32,
        bits >> 16 & 0xffff,
        bits >> 4 & 0xfff,
        kind,
        number
    )
    .unwrap();
}

/// Kinds of ids: people and groups, source and target.
const SOURCE_USER: u64 = 1;
const TARGET_USER: u64 = 2;
const SOURCE_GROUP: u64 = 3;
const TARGET_GROUP: u64 = 4;

fn read<S: Side>(users: usize, is_target: bool) -> CompleteRead<S> {
    let groups = users / 10;
    let mut read = Read::<S>::start(ReadCaps::default());
    let section = read.open("everything");
    let mut record = UserRecord::default();
    let (own, group_own) = if is_target { (TARGET_USER, TARGET_GROUP) } else { (SOURCE_USER, SOURCE_GROUP) };
    for at in 0..users {
        let person = shuffled(at, users, is_target);
        record.clear();
        uuid(own, person, &mut record.id);
        if is_target {
            uuid(SOURCE_USER, person, &mut record.external_id);
        }
        write!(record.given_name, "Given{}", person % 5000).unwrap();
        write!(record.family_name, "Family{}", person % 70_000).unwrap();
        write!(record.display_name, "{} {}", record.given_name, record.family_name).unwrap();
        // Every so often the source has another name than the target.
        if !is_target && person.is_multiple_of(users / CHANGED) {
            record.family_name.push_str("-New");
        }
        write!(record.address, "given.family.{person}@example.com").unwrap();
        write!(record.org_unit, "/Unit{}", person % 300).unwrap();
        if person.is_multiple_of(4) {
            record.aliases.push(format!("alias{person}@example.com"));
        }
        let reference = read.referencer().reference(record.id.as_bytes());
        read.user(section, reference, &record).unwrap();
    }
    let mut record = GroupRecord::default();
    let mut id = String::new();
    for at in 0..groups {
        let group = shuffled(at, groups, is_target);
        record.clear();
        uuid(group_own, group, &mut record.id);
        if is_target {
            uuid(SOURCE_GROUP, group, &mut record.external_id);
        }
        write!(record.name, "Group {group}").unwrap();
        let reference = read.referencer().reference(record.id.as_bytes());
        let row = read.group(section, reference, &record).unwrap();
        for member in 0..MEMBERS {
            // Half of the changed memberships are only in the source, half only in the target.
            let change = group.is_multiple_of(groups / CHANGED) && member == 0;
            let left_out = if (group / (groups / CHANGED)).is_multiple_of(2) { is_target } else { !is_target };
            if change && left_out {
                continue;
            }
            uuid(own, (group * 10 + member * 31) % users, &mut id);
            let member = read.referencer().reference(id.as_bytes());
            read.member(section, row, member).unwrap();
        }
    }
    read.page(section, Next::End).unwrap();
    read.finish().unwrap()
}

fn bindings(count: usize, source: u64, target: u64) -> Bindings {
    let mut bindings = Bindings::with_capacity(count);
    let (mut from, mut to) = (String::new(), String::new());
    for at in 0..count {
        uuid(source, at, &mut from);
        uuid(target, at, &mut to);
        assert!(bindings.insert(&from, Some(&to), Times::default()));
    }
    bindings
}

/// Processor time of this process so far in seconds, which other processes on the machine do not change.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // Linux tells them in hundredths of a second (proc(5)).
    ticks as f64 / 100.0
}

/// A figure of `/proc/self/status` in MiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// What planning for so many people may need: seconds of one core, and MiB of the whole process.
struct Budget {
    people: usize,
    seconds: Option<f64>,
    memory: u64,
}

const BUDGETS: [Budget; 2] = [
    Budget { people: 100_000, seconds: None, memory: 64 },
    Budget { people: 1_000_000, seconds: Some(1.0), memory: 512 },
];
/// How often each is measured. The median of the times counts, and the most memory.
const ROUNDS: usize = 5;
/// What the line of figures begins with that one measuring process prints for the other.
const FIGURES: &str = "figures: ";

fn main() -> ExitCode {
    match std::env::args().nth(1) {
        Some(people) => {
            measure(people.parse().expect("a number of people"));
            ExitCode::SUCCESS
        }
        None => BUDGETS
            .iter()
            .fold(ExitCode::SUCCESS, |so_far, budget| if budget.is_kept() { so_far } else { ExitCode::FAILURE }),
    }
}

impl Budget {
    fn is_kept(&self) -> bool {
        let (mut seconds, mut memory) = (Vec::new(), 0);
        for round in 1..=ROUNDS {
            let output = Command::new(std::env::current_exe().unwrap())
                .arg(self.people.to_string())
                .output()
                .expect("it starts");
            let printed = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
            let figures = printed.lines().find_map(|line| line.strip_prefix(FIGURES)).expect("figures");
            let (time, peak) = figures.split_once(' ').unwrap();
            seconds.push(time.parse::<f64>().unwrap());
            memory = memory.max(peak.parse().unwrap());
            println!("  round {round}: {}", printed.lines().next().unwrap());
        }
        seconds.sort_by(f64::total_cmp);
        let median = seconds[ROUNDS / 2];
        let is_quick = self.seconds.is_none_or(|most| median <= most);
        let is_small = memory <= self.memory;
        println!(
            "{} people: {median:.2} s of one core ({:.2} to {:.2}){}, peak {memory} MiB (budget {} MiB): {}",
            self.people,
            seconds[0],
            seconds[ROUNDS - 1],
            self.seconds.map_or_else(String::new, |most| format!(" (budget {most} s)")),
            self.memory,
            if is_quick && is_small { "kept" } else { "EXCEEDED" },
        );
        is_quick && is_small
    }
}

fn measure(users: usize) {
    assert!(users >= 10 * CHANGED, "not enough people for {CHANGED} changes");
    let groups = users / 10;
    let rules = Rules::default();
    let capabilities = Capabilities {
        target: "bench".to_owned(),
        user_fields: Fields::of(Field::ALL),
        group_fields: Fields::of([Field::ExternalId, Field::Name, Field::Members]),
        attributes: std::collections::BTreeSet::new(),
        passwords: std::collections::BTreeSet::new(),
        nested_groups: true,
    };
    let state =
        State::of(bindings(users, SOURCE_USER, TARGET_USER), bindings(groups, SOURCE_GROUP, TARGET_GROUP), None);
    let source = read(users, false);
    let target = read(users, true);
    let held = memory("VmRSS");
    let (start, started) = (Instant::now(), processor());
    let plan = plan::plan(&source, &target, &rules, &capabilities, &state, jiff::Timestamp::UNIX_EPOCH);
    let (elapsed, worked) = (start.elapsed(), processor() - started);
    let (summary, counts) = (plan.summary(), plan.counts());
    println!(
        "{} people, {} groups, {} memberships: planned in {:.3} s ({worked:.2} s of one core), {held} MiB before, peak {} MiB",
        counts.source.users,
        counts.source.groups,
        counts.source.memberships,
        elapsed.as_secs_f64(),
        memory("VmHWM"),
    );
    println!("{summary}");
    println!("{FIGURES}{worked} {}", memory("VmHWM"));
    let changed_people = users.div_ceil(users / CHANGED) as u64;
    let changed_groups = groups.div_ceil(groups / CHANGED) as u64;
    assert_eq!(summary.users.update, changed_people);
    assert_eq!(summary.memberships.add, changed_groups.div_ceil(2));
    assert_eq!(summary.memberships.remove, changed_groups / 2);
    assert_eq!(summary.total(), changed_people + changed_groups, "nothing else changes");
    assert_eq!(counts.managed.users, users as u64);
    assert_eq!(plan.warnings().of(WarningKind::AddressShared), 0);
}
