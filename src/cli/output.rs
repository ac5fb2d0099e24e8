//! The only place that prints.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use super::exit::Failure;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs; one document on standard output.
    Json,
}

impl Output {
    /// Prints a result in either form.
    pub(super) fn result(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        let printed = match self {
            Self::Text => text(),
            Self::Json => serde_json::to_string_pretty(value).unwrap_or_default(),
        };
        line(&printed);
    }

    /// Says on standard error what went wrong; programs find it on standard output as well.
    pub(super) fn failure(self, failure: &Failure) {
        if self == Self::Json {
            self.result(&serde_json::json!({ "error": failure }), String::new);
        }
        say(&format!("tidegate: {}", failure.message));
        if let Some(hint) = &failure.hint {
            say(&format!("  {hint}"));
        }
    }
}

/// A line for people on standard error, which is never part of a result.
pub(super) fn say(message: &str) {
    let _closed = writeln!(std::io::stderr(), "{message}");
}

/// Bytes as they are on standard output.
pub(super) fn raw(bytes: &[u8]) {
    let _closed = std::io::stdout().write_all(bytes);
}

fn line(text: &str) {
    // A reader that went away, as `head` does, is no failure of the command.
    let _closed = writeln!(std::io::stdout(), "{}", text.trim_end());
}
