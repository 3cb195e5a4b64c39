//! Exclusions and protections: which people and groups a rule names.

/// Compiled matchers of one list (`exclude.source`, `exclude.target` or `protect`).
#[derive(Debug, Clone, Default)]
pub struct Matchers {}
