//! What the costliest expression that is accepted takes, with the largest values that it may be given.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use directory_sync_core::mapping::{Entry, UserMapping, UserMappingSpec, Value};
use directory_sync_core::snapshot::UserRecord;
use std::time::{Duration, Instant};

fn compile(cel: String) -> Option<UserMapping> {
    let attribute = |name: &str| Some(Value::Attribute(name.to_owned()));
    let spec = UserMappingSpec {
        id: attribute("entryUUID"),
        email: attribute("mail"),
        display_name: Some(Value::Cel(cel)),
        ..UserMappingSpec::default()
    };
    UserMapping::compile(&spec).ok()
}

/// The costliest of its shape that is accepted: with so many parts, and not one more.
fn costliest(shape: impl Fn(usize) -> String) -> UserMapping {
    (1..400).map_while(|parts| compile(shape(parts))).last().expect("one part is accepted")
}

/// The most memory that this process has held, in MiB (proc(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn the_costliest_expression_is_evaluated_in_little_time_and_memory() {
    let parts = |part: &str, count: usize, by: &str| vec![part; count].join(by);
    let shapes: [(&str, UserMapping); 5] = [
        ("concatenation in a loop", costliest(|n| format!("entry.a.map(m, {})", parts("m", n, " + ")))),
        ("loops one after the other", costliest(|n| format!("entry.a{}", ".map(m, m + m)".repeat(n)))),
        ("a list of lists", costliest(|n| format!("[{}]", parts("entry.a", n, ", ")))),
        ("patterns", costliest(|n| format!("entry.a.filter(m, {})", parts("m.matches('(a|b)*c$')", n, " || ")))),
        ("comparisons", costliest(|n| format!("entry.a.exists(m, {})", parts("m == dn + 'x'", n, " || ")))),
    ];
    // As many values and as much text as an expression is given of one attribute.
    let many: Vec<Vec<u8>> = (0..1000).map(|at| format!("{at:a>65}").into_bytes()).collect();
    let long: Vec<Vec<u8>> = (0..16).map(|at| format!("{at:a>4096}").into_bytes()).collect();
    let name = "x".repeat(4096);
    let before = peak();
    for (shape, mapping) in &shapes {
        for values in [&many, &long] {
            let a: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            let values = [vec![&b"1"[..]], vec![b"a@example.com"], a];
            let begun = Instant::now();
            let _ = mapping.map(&Entry { name: &name, values: &values }, &mut UserRecord::default(), &mut 0);
            let took = begun.elapsed();
            println!("{shape}: {took:?}, {} MiB more than before", peak() - before);
            assert!(took < Duration::from_secs(5), "{shape}: {took:?}");
        }
    }
    assert!(peak() - before < 64, "{} MiB", peak() - before);
}
