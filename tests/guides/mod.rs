//! The pages people read, taken apart: the commands they give, and what is promised of each.
//!
//! A fence names its language and, after it, where its commands are run: `sh run` in a folder with
//! the example's configuration, `sh demo` beside a running demo, `sh local` on the local AWS, `sh
//! local slow` there for who has minutes. What says only `sh` needs an account, or builds, and is
//! read but not run. A comment can promise how a command exits (`exits with 3`), and that it is
//! given `again until` it exits so.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Pages whose commands are run on the local AWS, by a story each.
pub(crate) const LOCAL: [&str; 2] = ["docs/break-a-monolith.md", "docs/quick-start.md"];

/// How often a command that is given `again` is tried, three times a second.
const TRIES: u32 = 360;

/// A file of the documentation.
pub(crate) struct Page {
    /// From the root of the repository.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// Of its first line in the page, from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// Where its commands are run, or nothing.
    pub(crate) place: String,
    pub(crate) text: String,
}

/// What is typed at once.
pub(crate) struct Typed {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) exits: i32,
    /// Whether it is given until it exits so.
    pub(crate) again: bool,
}

/// Every page, those of the repository's root and of the local AWS too.
pub(crate) fn pages() -> Vec<Page> {
    let mut names: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "localstack/README.md"].map(PathBuf::from).into();
    for folder in ["docs", "docs/runbooks", "docs/decisions"] {
        let found = std::fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder");
        let found = found.map(|entry| Path::new(folder).join(entry.expect("an entry").file_name()));
        names.extend(found.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    names.sort();
    names.into_iter().map(|name| page(&name.to_string_lossy())).collect()
}

pub(crate) fn page(name: &str) -> Page {
    let text = std::fs::read_to_string(Path::new(ROOT).join(name)).expect("a page");
    Page { name: name.to_owned(), text }
}

impl Page {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = (1..).zip(self.text.lines());
        while let Some((line, text)) = lines.next() {
            let Some(info) = text.trim_start().strip_prefix("```") else { continue };
            let (language, place) = info.split_once(' ').unwrap_or((info, ""));
            let inside = lines.by_ref().take_while(|(_, text)| text.trim_start() != "```");
            let text = inside.map(|(_, text)| format!("{text}\n")).collect();
            let (language, place) = (language.to_owned(), place.to_owned());
            blocks.push(Block { line: line + 1, language, place, text });
        }
        blocks
    }

    /// The page without its blocks.
    pub(crate) fn prose(&self) -> String {
        let mut inside = false;
        let keep = |line: &&str| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        };
        self.text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
    }

    /// All that is typed in these places, in the order of the page.
    pub(crate) fn typed(&self, places: &[&str]) -> Vec<Typed> {
        let shell =
            |block: &Block| block.language == "sh" && places.contains(&block.place.as_str());
        self.blocks().iter().filter(|block| shell(block)).flat_map(Block::typed).collect()
    }
}

impl Block {
    /// Lines that go on, and texts given to a command (`<<END`), are one with it.
    pub(crate) fn typed(&self) -> Vec<Typed> {
        let mut all = Vec::new();
        let mut lines = (self.line..).zip(self.text.lines());
        while let Some((line, text)) = lines.next() {
            if text.trim().is_empty() || text.trim_start().starts_with('#') {
                continue;
            }
            let mut typed = text.to_owned();
            while typed.ends_with('\\') {
                let Some((_, text)) = lines.next() else { break };
                typed = format!("{typed}\n{text}");
            }
            if let Some((_, end)) = text.split_once("<<") {
                let end = end.split_whitespace().next().expect("a word").trim_matches('\'');
                for (_, text) in lines.by_ref() {
                    typed = format!("{typed}\n{text}");
                    if text == end {
                        break;
                    }
                }
            }
            let promise = text.split_once('#').map_or("", |(_, comment)| comment);
            let exits = promise.split_once("exits with ").map_or(0, |(_, code)| {
                let digits: String = code.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().expect("an exit code")
            });
            all.push(Typed { line, text: typed, exits, again: promise.contains("again until") });
        }
        all
    }
}

/// Runs what is typed in one shell, and panics with all that was printed at the first command that
/// does not exit as it should. What it leaves running ends with it.
pub(crate) fn run(typed: &[Typed], folder: &Path, environment: &[(&str, &str)]) {
    let mut script = String::from(
        "set -uo pipefail\n\
         trap 'kill $(jobs -p) 2>/dev/null' EXIT\n\
         give() {\n\
           local _left=$2 _code\n\
           while true; do\n\
             printf '%s s $ %s\\n' $SECONDS \"$3\"; _code=0; eval \"$3\" || _code=$?\n\
             [ $_code -eq $1 ] && return; _left=$((_left - 1))\n\
             [ $_left -le 0 ] && { echo \"exits with $_code, and should with $1\"; exit 1; }\n\
             sleep 0.3\n\
           done\n\
         }\n",
    );
    for one in typed {
        let tries = if one.again { TRIES } else { 1 };
        let quoted = one.text.replace('\'', r"'\''");
        writeln!(script, "give {} {tries} '{quoted}'", one.exits).expect("text");
    }
    std::fs::write(folder.join("typed.sh"), script).expect("a script");
    let log = std::fs::File::create(folder.join("typed.log")).expect("a log");
    let mut shell = Command::new("bash");
    shell.arg("typed.sh").current_dir(folder).env_clear().envs(environment.iter().copied());
    shell.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
    let status = shell.status().expect("bash");
    let told = std::fs::read_to_string(folder.join("typed.log")).unwrap_or_default();
    assert!(status.success(), "{told}");
}

/// The simple commands of a line as words: what pipes, lists and `$(…)` join is told apart, quotes
/// are taken off, redirections and comments left out.
pub(crate) fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.replace("\\\n", " ");
    // A text that follows is no command.
    let line = line.split('\n').next().unwrap_or_default();
    let mut all = vec![Vec::new()];
    let (mut word, mut begun, mut quote) = (String::new(), false, None);
    let mut signs = line.chars().peekable();
    let mut nested = String::new();
    while let Some(sign) = signs.next() {
        if sign == '$' && quote != Some('\'') && signs.next_if_eq(&'(').is_some() {
            // What stands in its place is not known here; something does.
            (word, begun) = (word + "X", true);
            let mut depth = 1;
            let inside = signs.by_ref().take_while(|sign| {
                depth += i32::from(*sign == '(') - i32::from(*sign == ')');
                depth > 0
            });
            nested.extend(inside);
            nested.push(';');
            continue;
        }
        match (quote, sign) {
            (Some(open), _) if sign == open => quote = None,
            (Some(_), _) => word.push(sign),
            (None, '\'' | '"') => (quote, begun) = (Some(sign), true),
            (None, '#') if !begun => break,
            (None, ' ' | '|' | ';' | '&' | '(' | ')' | '>' | '<') => {
                if begun {
                    all.last_mut().expect("one").push(std::mem::take(&mut word));
                    begun = false;
                }
                if matches!(sign, '>' | '<') {
                    // `2>&1` joins no commands.
                    signs.next_if_eq(&'&');
                    all.last_mut().expect("one").push(sign.to_string());
                } else if sign != ' ' {
                    all.push(Vec::new());
                }
            }
            (None, _) => {
                word.push(sign);
                begun = true;
            }
        }
    }
    if begun {
        all.last_mut().expect("one").push(word);
    }
    let mut all: Vec<_> = all.into_iter().map(simple).collect();
    if !nested.is_empty() {
        all.extend(commands(&nested));
    }
    all.retain(|words| !words.is_empty());
    all
}

/// Without redirections, and without settings and words of the shell before the command.
fn simple(words: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == ">" || word == "<" {
            if kept.last().is_some_and(|last| last == "2" || last == "1") {
                kept.pop();
            }
            words.next();
        } else {
            kept.push(word);
        }
    }
    let sets = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|sign| sign.is_ascii_uppercase() || sign == '_')
        })
    };
    let shell = |word: &String| {
        ["export", "until", "do", "done", "{", "}"].contains(&word.as_str()) || sets(word)
    };
    kept.into_iter().skip_while(shell).collect()
}
