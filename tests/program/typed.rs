//! What the documentation tells people to type is typed here, or at least read by the program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::guides::{self, commands, pages};

/// What is shown and not run, by its first words, and why.
const SHOWN: [(&str, &str); 22] = [
    ("aws", "a real account; the runbooks and lists of facts to verify speak of one"),
    ("cat", "what the data plane of the page has written"),
    ("cargo build", "builds what is tested here"),
    ("cargo demo", "builds and runs the demo, which is run as `tidegate demo`"),
    ("cargo run --example dataplane", "builds; stories start the data plane themselves"),
    ("cargo test", "is what runs this"),
    ("curl", "a real account"),
    ("date", "within what needs a real account"),
    ("docker", "a container engine"),
    ("fuzz/coverage", "needs a fuzzer's build, and minutes"),
    ("fuzz/run", "as above"),
    ("git diff", "shows what a developer has changed"),
    ("grep", "filters what needs a real account"),
    ("head", "filters what needs a real account"),
    ("kill", "ends what was only shown"),
    ("localstack/start", "started by the stories of the local AWS"),
    ("localstack/stop", "the endpoint is shared with other tests"),
    ("localstack/test", "the local AWS's own suite"),
    ("out", "a function of the page itself"),
    ("target/debug/examples/dataplane", "as above"),
    ("terraform", "a real account"),
    ("wait", "for what was only shown"),
];

/// Pages whose commands are run one after the other beside a demo.
const DEMO: [&str; 1] = ["docs/tutorial.md"];

fn environment(folder: &Path) -> [(&'static str, String); 3] {
    let program = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().unwrap().display();
    let path = std::env::var("PATH").unwrap_or_default();
    let home = folder.display().to_string();
    [("PATH", format!("{program}:{path}")), ("HOME", home), ("USER", "ann".to_owned())]
}

fn run(typed: &[guides::Typed], folder: &Path) {
    let environment = environment(folder);
    let environment: Vec<_> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    guides::run(typed, folder, &environment);
}

/// A folder with what a reader has there: the example's configuration.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example = include_str!("../../tidegate.example.yaml");
    std::fs::write(folder.path().join("tidegate.yaml"), example).unwrap();
    folder
}

fn program_knows(words: &[String]) -> Result<(), String> {
    let parsed = tidegate::cli::command().try_get_matches_from(words);
    parsed.map(|_| ()).map_err(|error| error.to_string())
}

fn targets() -> Vec<&'static str> {
    let lines = include_str!("../../Makefile").lines();
    lines.filter_map(|line| line.strip_prefix(".PHONY: ")).flat_map(str::split_whitespace).collect()
}

/// Why a command that is shown may stand there; none if nobody knows it.
fn known(words: &[String], is_run: bool) -> Result<(), String> {
    match words[0].as_str() {
        "tidegate" | "target/debug/tidegate" | "target/release/tidegate" => program_knows(words),
        "make" if targets().contains(&words[1].as_str()) => Ok(()),
        "make" => Err("no such target".to_owned()),
        _ if is_run => Ok(()),
        _ => {
            let line = words.join(" ");
            let known = SHOWN.iter().any(|(start, _)| {
                line.strip_prefix(start)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            });
            if known { Ok(()) } else { Err("neither run nor known".to_owned()) }
        }
    }
}

#[test]
fn every_command_is_run_or_is_known_to_be_only_shown() {
    let mut wrong = Vec::new();
    for page in pages() {
        if page.prose().contains("\n\n    ") {
            wrong.push(format!("{}: a block without a fence", page.name));
        }
        for block in page.blocks() {
            let at = format!("{}:{}", page.name, block.line);
            if block.language.is_empty() {
                wrong.push(format!("{at}: a fence without its language"));
            }
            if !["", "run", "demo", "local", "local slow"].contains(&block.place.as_str()) {
                wrong.push(format!("{at}: commands are run in no place called {}", block.place));
            }
            for typed in block.typed().iter().filter(|_| block.language == "sh") {
                for words in commands(&typed.text) {
                    if let Err(why) = known(&words, !block.place.is_empty()) {
                        let line = typed.line;
                        wrong.push(format!("{}:{line}: {}: {why}", page.name, words.join(" ")));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Words in the prose may leave arguments out; commands and options they name exist.
#[test]
fn every_command_in_the_prose_is_one_of_the_program() {
    let mut wrong = Vec::new();
    for page in pages() {
        let prose = page.prose();
        let codes = prose.split('`').skip(1).step_by(2);
        for code in codes.filter(|code| code.starts_with("tidegate ")) {
            let mut command = tidegate::cli::command();
            command.build();
            for word in commands(code).into_iter().flatten().skip(1) {
                let word = word.trim_end_matches('…').split(['=', '|']).next().unwrap().to_owned();
                if let Some(option) = word.strip_prefix("--") {
                    if !command.get_arguments().any(|known| known.get_long() == Some(option)) {
                        wrong.push(format!("{}: `{code}`: no option --{option}", page.name));
                    }
                } else if let Some(next) = command.find_subcommand(&word) {
                    command = next.clone();
                } else if command.has_subcommands() && word.chars().any(char::is_lowercase) {
                    wrong.push(format!("{}: `{code}`: no command {word}", page.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_needs_nothing_exits_as_its_page_says() {
    for page in pages() {
        let typed = page.typed(&["run"]);
        if !typed.is_empty() {
            run(&typed, folder().path());
        }
    }
}

#[test]
fn what_is_typed_beside_the_demo_exits_as_its_page_says() {
    let has = |page: &guides::Page| !page.typed(&["demo"]).is_empty();
    let named: Vec<_> = pages().into_iter().filter(has).map(|page| page.name).collect();
    assert_eq!(named, DEMO);
    let local = |page: &guides::Page| !page.typed(&["local"]).is_empty();
    let named: Vec<_> = pages().into_iter().filter(local).map(|page| page.name).collect();
    assert_eq!(named, guides::LOCAL, "each needs a story in tests/localstack/following.rs");
    for name in DEMO {
        let folder = tempfile::tempdir().unwrap();
        let demo = Demo::start(folder.path());
        run(&guides::page(name).typed(&["demo"]), folder.path());
        demo.stop();
    }
}

/// The story in seconds instead of minutes.
struct Demo(std::process::Child);

impl Demo {
    fn start(folder: &Path) -> Self {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        demo.args(["demo", "--listen", "127.0.0.1:0", "--speed", "600"]).current_dir(folder);
        let mut demo = demo.env_clear().stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(demo.stderr.take().unwrap()).lines();
        assert!(told.next().unwrap().unwrap().starts_with("dashboard"));
        // Read on, so that it never waits for a full pipe.
        std::thread::spawn(move || told.for_each(drop));
        Self(demo)
    }

    fn stop(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
    }
}
