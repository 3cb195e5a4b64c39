//! Looking for people in logs.

use directory_sync_tests::peers::company::Company;

/// The lines of a log above debug level that name somebody: by an address, or by the name of an entry or of a person.
pub(crate) fn above_debug(log: &str) -> Vec<&str> {
    let company = Company::small();
    let names: Vec<_> = company.people.iter().map(directory_sync_tests::peers::company::Person::display_name).collect();
    let quiet = |line: &str| {
        let level = serde_json::from_str::<serde_json::Value>(line)
            .ok()
            .and_then(|line| line["level"].as_str().map(str::to_owned));
        matches!(level.as_deref(), Some("DEBUG" | "TRACE"))
    };
    let names_somebody = |line: &str| {
        let line = line.to_lowercase();
        ["@example.com", "@partner.example", "uid="].iter().any(|part| line.contains(part))
            || names.iter().any(|name| line.contains(&name.to_lowercase()))
    };
    log.lines().filter(|line| !quiet(line) && names_somebody(line)).collect()
}

#[test]
fn a_person_is_found_above_debug_level_alone() {
    let person = &Company::small().people[2];
    for who in [person.mail.clone().unwrap(), person.dn(), person.display_name()] {
        let line = |level: &str| serde_json::json!({ "level": level, "message": format!("changed {who}") }).to_string();
        let log = [line("INFO"), line("DEBUG"), format!("panicked at {who}")].join("\n");
        assert_eq!(above_debug(&log).len(), 2, "{log}");
    }
}
