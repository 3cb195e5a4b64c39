//! Who tells the story, and how.

use std::fmt::Write as _;

/// Shows what happens, in the order in which it happens.
pub trait Narrator {
    /// A chapter begins.
    fn chapter(&mut self, title: &str);

    /// A paragraph for people.
    fn say(&mut self, text: &str);

    /// A command is about to run: its words, quoted as a shell needs them, and what it reads on standard input.
    fn command(&mut self, words: &[String], input: Option<&str>);

    /// A request was sent to a service.
    fn request(&mut self, request: &str);

    /// What a command or a service said.
    fn output(&mut self, text: &str);

    /// Something begins that takes a while.
    fn begin(&mut self, step: &str);

    /// How far it is.
    fn progress(&mut self, line: &str);

    /// It is done.
    fn end(&mut self);
}

/// Keeps everything that was told.
#[derive(Clone, Debug, Default)]
pub struct Recording(String);

impl Recording {
    /// All of it, line by line.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn line(&mut self, text: &str) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "{text}");
    }
}

impl Narrator for Recording {
    fn chapter(&mut self, title: &str) {
        self.line(&format!("\n== {title}"));
    }

    fn say(&mut self, text: &str) {
        self.line(text);
    }

    fn command(&mut self, words: &[String], input: Option<&str>) {
        self.line(&format!("$ {}", words.join(" ")));
        if let Some(input) = input {
            self.line(input);
        }
    }

    fn request(&mut self, request: &str) {
        self.line(&format!("> {request}"));
    }

    fn output(&mut self, text: &str) {
        self.line(text);
    }

    fn begin(&mut self, step: &str) {
        self.line(&format!("… {step}"));
    }

    fn progress(&mut self, line: &str) {
        self.line(line);
    }

    fn end(&mut self) {}
}
