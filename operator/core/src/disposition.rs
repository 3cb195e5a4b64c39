//! What to do after an error, and what to call it.

use std::time::Duration;

/// What an error asks of whoever has to go on after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The cause may pass by itself: try again with growing pauses.
    Retry,
    /// The other side said when to come back.
    Wait(Duration),
    /// Trying again changes nothing: somebody has to change the resource, a Secret or a server first.
    Stall,
}

/// An error that knows what to do after it and what it is called, so that no caller has to guess from a text.
pub trait Classified: std::error::Error + Send + Sync + 'static {
    /// Whether to try again, wait or stall.
    fn disposition(&self) -> Disposition;

    /// The stable PascalCase name: event reason, condition reason and metric label are this same text.
    fn reason(&self) -> &'static str;

    /// The error in the operator's own words alone, for logs and events: what a server said may quote people.
    fn in_own_words(&self) -> String {
        self.to_string()
    }
}

impl<E: Classified> From<E> for Box<dyn Classified> {
    fn from(error: E) -> Self {
        Box::new(error)
    }
}
