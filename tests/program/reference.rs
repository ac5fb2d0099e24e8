//! The reference of commands is made from the program.

use std::fmt::Write;

use clap::{Arg, Command};
use expect_test::expect_file;

/// Options of every command that speaks to a server or a journal.
const WHERE: [&str; 4] = ["server", "token", "state", "config"];

#[test]
fn the_reference_of_commands_is_the_programs_own() {
    let mut program = tidegate::cli::command();
    program.build();
    expect_file!["../../docs/cli.md"].assert_eq(&page(&program));
}

/// The same codes stand where people look for them first.
#[test]
fn every_exit_code_is_explained_to_operators() {
    let told = tidegate::cli::command().get_after_help().unwrap().to_string();
    let codes = told.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u8>().ok());
    let codes: Vec<_> = codes.collect();
    for page in ["README.md", "docs/operations.md"] {
        let text = crate::guides::page(page).text;
        let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
        let listed: Vec<_> = rows.filter_map(|code| code.parse::<u8>().ok()).collect();
        assert_eq!(listed, codes, "{page}");
    }
}

fn page(program: &Command) -> String {
    let mut text = format!(
        "# Commands\n\n{}Made from the program itself; `tidegate help COMMAND` says the same.\n\n\
         Every command takes `--output json`, and then prints one document on standard output.\n",
        sentence(&program.get_about().unwrap().to_string()),
    );
    let mut below = String::new();
    for command in program.get_subcommands() {
        add(command, &mut below);
    }
    text += "\n## Which server\nCommands that speak to a running server, or to the journal where none runs, take these:\n\n";
    let asks = program.find_subcommand("status").unwrap();
    table(asks.get_arguments().filter(|arg| WHERE.contains(&arg.get_id().as_str())), &mut text);
    let codes = program.get_after_help().unwrap().to_string();
    let codes = codes.split_once('\n').unwrap().1;
    write!(text, "\n## Exit codes\n```text\n{codes}\n```\n{below}").unwrap();
    text
}

/// A command, or what is below it.
fn add(command: &Command, text: &mut String) {
    if command.get_name() == "help" {
        return;
    }
    if command.has_subcommands() {
        command.get_subcommands().for_each(|below| add(below, text));
        return;
    }
    let name = command.get_bin_name().unwrap();
    let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
    write!(text, "\n## {name}\n{}", sentence(&about)).unwrap();
    let mine = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        !arg.is_global_set() && !arg.is_hide_set() && id != "help" && id != "version"
    };
    let (shared, own): (Vec<_>, Vec<_>) = command
        .get_arguments()
        .filter(mine)
        .partition(|arg| WHERE.contains(&arg.get_id().as_str()));
    // A server has a token and a state as well; it asks no other.
    let asks = shared.len() == WHERE.len();
    let own = if asks { own } else { command.get_arguments().filter(mine).collect() };
    if !own.is_empty() {
        text.push('\n');
        table(own.into_iter(), text);
    }
    if asks {
        text.push_str("\nAnd [which server](#which-server).\n");
    }
}

fn table<'a>(args: impl Iterator<Item = &'a Arg>, text: &mut String) {
    text.push_str("| Argument | Default | Meaning |\n|---|---|---|\n");
    for arg in args {
        let names = arg.get_value_names().unwrap_or_default().join(" ");
        let takes = arg.get_action().takes_values();
        let written = match arg.get_long() {
            Some(long) if takes => format!("--{long} {names}"),
            Some(long) => format!("--{long}"),
            None => names,
        };
        let given: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = match given.as_slice() {
            [] if arg.is_required_set() => "needed".to_owned(),
            _ if !takes => String::new(),
            [] => String::new(),
            values => format!("`{}`", values.join(" ")),
        };
        let help = arg.get_long_help().or(arg.get_help()).unwrap_or_default().to_string();
        let mut meaning = sentence(&help).trim().replace("\n\n", " ").replace('\n', " ");
        let values: Vec<_> = arg.get_possible_values();
        let values: Vec<_> = values
            .iter()
            .filter(|_| takes)
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if !values.is_empty() {
            let _ = write!(meaning, " One of {}.", values.join(", "));
        }
        if let Some(name) = arg.get_env() {
            let _ = write!(meaning, " Else from `{}`.", name.to_string_lossy());
        }
        let meaning = meaning.trim().replace('|', "\\|");
        writeln!(text, "| `{written}` | {default} | {meaning} |").unwrap();
    }
}

/// As clap keeps it without a full stop, with one; each of its sentences on a line of its own.
fn sentence(about: &str) -> String {
    let about = about.trim();
    let end = if about.is_empty() || about.ends_with(['.', ':', '?']) { "" } else { "." };
    format!("{about}{end}\n")
}
