//! What is wrong with a configuration file, as data and as text.
//!
//! Rule: every error names a place and a remedy.

use std::fmt;

use serde::Serialize;

/// One problem of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Error {
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Which setting: `clusters[0].scale_in.drain_deadline`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// Characters from the column on that are meant.
    #[serde(skip)]
    width: u32,
    /// The line as it stands in the file.
    #[serde(skip)]
    excerpt: String,
}

/// All problems found in one file, in the order of the file; at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfigErrors {
    errors: Vec<Error>,
}

impl ConfigErrors {
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.errors.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// The problem, the line it is in with a caret below, and the remedy.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, excerpt) = crop(&self.excerpt, self.column);
        let shown = excerpt.chars().count().saturating_sub(before);
        let carets = usize::try_from(self.width).unwrap_or(usize::MAX).clamp(1, shown.max(1));
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        match self.path.as_str() {
            "" => writeln!(f, "error: {}", self.message)?,
            path => writeln!(f, "error: {path}: {}", self.message)?,
        }
        writeln!(f, "{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {excerpt}")?;
        writeln!(f, "{margin} | {}{}", " ".repeat(before), "^".repeat(carets))?;
        writeln!(f, "{margin} = {}", self.remedy)
    }
}

/// Most characters of a line that are shown.
const LINE_MAX: usize = 120;

/// The part of a line around a column, and how many characters of it stand before the column.
fn crop(line: &str, column: u32) -> (usize, String) {
    let before = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    let skipped =
        if line.chars().count() > LINE_MAX { before.saturating_sub(LINE_MAX / 2) } else { 0 };
    let rest: String = line.chars().skip(skipped).collect();
    (before - skipped, printable(&rest, LINE_MAX))
}

/// Most characters of a message; what a file says is quoted in some.
const TEXT_MAX: usize = 200;

/// At most so many characters, none of which can control a terminal.
fn printable(text: &str, max: usize) -> String {
    let clean = |sign: char| if sign.is_control() { ' ' } else { sign };
    let mut short: String = text.chars().take(max).map(clean).collect();
    if text.chars().nth(max).is_some() {
        short.push('…');
    }
    short
}

/// A part of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) width: u32,
}

impl Place {
    /// Where what concerns the whole file is shown.
    pub(super) const TOP: Self = Self { line: 1, column: 1, width: 1 };

    /// The same in this text, and its line. What YAML says of the end of a file lies behind its
    /// last line; an editor would find nothing there.
    fn within(self, text: &str) -> (Self, &str) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let lines = number(text.lines().count()).max(1);
        let line = self.line.clamp(1, lines);
        let above = usize::try_from(line - 1).unwrap_or(usize::MAX);
        let excerpt = text.lines().nth(above).unwrap_or_default();
        let end = number(excerpt.chars().count()).saturating_add(1);
        let column = if self.line > lines { end } else { self.column.clamp(1, end) };
        (Self { line, column, ..self }, excerpt)
    }
}

/// What is wrong so far. Reading goes on after a problem, so that one look finds them all.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<(Place, String, String, String)>,
}

impl Problems {
    pub(super) fn add(
        &mut self,
        place: Place,
        path: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let clean = |text: &str| printable(text, TEXT_MAX);
        let (message, remedy) = (clean(&message.into()), clean(&remedy.into()));
        self.found.push((place, clean(path), message, remedy));
    }

    /// `Ok` if there are none.
    pub(super) fn into_result(mut self, text: &str, file: &str) -> Result<(), ConfigErrors> {
        self.found.sort();
        self.found.dedup();
        let error = |(place, path, message, remedy): (Place, String, String, String)| {
            let (Place { line, column, width }, excerpt) = place.within(text);
            let (file, excerpt) = (file.to_owned(), excerpt.to_owned());
            Error { file, line, column, path, message, remedy, width, excerpt }
        };
        let errors: Vec<Error> = self.found.into_iter().map(error).collect();
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors { errors }) }
    }
}
