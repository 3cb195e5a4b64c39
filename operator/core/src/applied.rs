//! What the target answered. Status, counts and state are built from this and from nothing else.

use crate::operation::{Operation, Verb};
use std::time::Duration;

/// What became of one operation, as the target told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The target did it. For creations and adoptions: the target's id of the object.
    Done {
        /// Id of the object in the target, where the operation made it known.
        target_id: Option<String>,
    },
    /// Nothing needed to be done: the target was already as wanted (a deletion of what is gone, for instance).
    AlreadyDone {
        /// Id of the object in the target, where known.
        target_id: Option<String>,
    },
    /// The target refused it, or it is not known what became of it even after looking again.
    Failed {
        /// Stable PascalCase name of the failure.
        reason: &'static str,
        /// One sentence for people, without personal data beyond what the plan shows and without secrets.
        message: String,
    },
    /// It was not sent, because something it needs failed, or because the run was stopped.
    NotSent {
        /// Stable PascalCase name of the cause.
        reason: &'static str,
    },
}

/// One operation with its answer. Made only by [`crate::gate::ApprovedOperation::answered`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    position: u32,
    operation: Operation,
    answer: Answer,
}

impl Outcome {
    pub(crate) fn new(position: u32, operation: Operation, answer: Answer) -> Self {
        Self { position, operation, answer }
    }

    /// Position of the operation in the plan.
    pub fn position(&self) -> usize {
        self.position as usize
    }

    /// The operation.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// What was done.
    pub fn verb(&self) -> Verb {
        self.operation.verb
    }

    /// What the target answered.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Whether the target is now as wanted.
    pub fn succeeded(&self) -> bool {
        matches!(self.answer, Answer::Done { .. } | Answer::AlreadyDone { .. })
    }
}

/// All answers of one run.
#[derive(Debug, Default)]
pub struct Applied {
    outcomes: Vec<Outcome>,
    asked_to_wait: Option<Duration>,
}

impl Applied {
    /// Collects the answers. Outcomes cannot be made up, so neither can this.
    pub fn of(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes, asked_to_wait: None }
    }

    /// The same answers, of a target that asked to wait so long before anything more is sent.
    #[must_use]
    pub fn asking_to_wait(self, pause: Option<Duration>) -> Self {
        Self { asked_to_wait: pause, ..self }
    }

    /// How long the target asked to wait before anything more is sent, if it did.
    pub fn asked_to_wait(&self) -> Option<Duration> {
        self.asked_to_wait
    }

    /// The answers, in the order in which they came.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// How many operations the target did or had done.
    pub fn succeeded(&self) -> u64 {
        self.outcomes.iter().filter(|outcome| outcome.succeeded()).count() as u64
    }

    /// How many operations failed or were not sent.
    pub fn failed(&self) -> u64 {
        self.outcomes.len() as u64 - self.succeeded()
    }
}
