//! The command line: one file per command, and one way to print and to fail.
//!
//! Rule: results go to standard output, messages to standard error; every command can print JSON.

mod audit;
#[cfg(feature = "aws")]
mod beside;
mod config;
mod cutover;
mod demo;
mod doctor;
mod exit;
mod export;
mod handback;
mod health;
mod kept;
mod listener;
mod notify;
mod order;
mod output;
mod plan;
mod release;
#[cfg(feature = "aws")]
mod reload;
mod remote;
#[cfg(feature = "aws")]
mod replica;
mod run;
mod serve;
mod show;
mod source;
mod text;
mod token;
mod way;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use exit::{Exit, Failure};
use output::Output;

/// Keeps ECS on EC2 fleets as large as their tasks need.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, after_help = exit::TABLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control loop of every configured cluster, with API and dashboard.
    Run(run::Args),
    /// Show what would be done, what is not allowed, what is held, and why; changes nothing.
    Plan(plan::Args),
    /// Show the state of a running server's clusters.
    Status(show::StatusArgs),
    /// Ask the running server whether its loops are alive: 0 if they are, else 1.
    Health(remote::Where),
    /// Show the last decisions, or one with all its reasons.
    Decisions(show::DecisionsArgs),
    /// Show or set the mode of a cluster.
    #[command(subcommand)]
    Mode(order::ModeCommand),
    /// Write nothing to AWS until resumed.
    Pause(order::PauseArgs),
    /// End a pause, close breakers, lift demotions of pools.
    Resume(order::ResumeArgs),
    /// Take pools over from managed scaling, reversibly; shows the change unless --apply is given.
    Handover(order::HandoverArgs),
    /// Let everything be as it was before Tidegate; shows the change unless --apply is given.
    Handback(handback::HandbackArgs),
    /// Look for mistakes in the rules of a load balancer's listener; changes nothing.
    #[command(subcommand)]
    Listener(listener::ListenerCommand),
    /// Move routes from one service to others: plan, start, watch, promote, roll back.
    #[command(subcommand)]
    Cutover(cutover::CutoverCommand),
    /// Release a new image of one service, watch it, or lead it back.
    ///
    /// Exits with 3 when the order stands but something keeps it from taking effect, and with 1
    /// when the release is over and was not released.
    Release(release::ReleaseArgs),
    /// List the last release of each service.
    Releases(release::ReleasesArgs),
    /// Hand out and take back the tokens that permit changes.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Show who did what, and check that the record of it is whole.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Look for what keeps Tidegate from its work in a cluster, with remedies; changes nothing.
    ///
    /// Exits with 3 when something that is asked for will not be done, or is undone by others.
    Doctor(doctor::DoctorArgs),
    /// Check, print or write configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Try whether notifications arrive.
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Print what others need to know of Tidegate: IAM policies, alert rules, a dashboard.
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Run everything on a simulated AWS, with a story that plays in minutes.
    Demo(demo::Args),
    /// Print a completion script for a shell.
    Completions { shell: clap_complete::Shell },
}

/// Parses the arguments, runs the command, prints its failure, and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _printed = error.print();
            return code.into();
        }
    };
    let output = cli.output;
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

/// All commands with their arguments, for what is made of them: completions, the reference.
pub fn command() -> clap::Command {
    Cli::command()
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let output = cli.output;
    match cli.command {
        Command::Run(args) => block_on(run::run(args, output)),
        Command::Plan(args) => block_on(plan::plan(args, output)),
        Command::Status(args) => block_on(show::status(args, output)),
        Command::Health(at) => block_on(health::health(at, output)),
        Command::Decisions(args) => block_on(show::decisions(args, output)),
        Command::Mode(command) => block_on(order::mode(command, output)),
        Command::Pause(args) => block_on(order::pause(args, output)),
        Command::Resume(args) => block_on(order::resume(args, output)),
        Command::Handover(args) => block_on(order::handover(args, output)),
        Command::Handback(args) => block_on(handback::handback(args, output)),
        Command::Listener(command) => block_on(listener::listener(command, output)),
        Command::Cutover(command) => block_on(cutover::cutover(command, output)),
        Command::Release(args) => block_on(release::release(args, output)),
        Command::Releases(args) => block_on(release::releases(args, output)),
        Command::Token(command) => block_on(token::token(command, output)),
        Command::Audit(command) => block_on(audit::audit(command, output)),
        Command::Config(command) => block_on(config::config(command, output)),
        Command::Notify(command) => block_on(notify::notify(command, output)),
        Command::Export(command) => block_on(export::export(command)),
        Command::Doctor(args) => block_on(doctor::doctor(args, output)),
        Command::Demo(args) => block_on(demo::demo(args, output)),
        Command::Completions { shell } => {
            let mut command = command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "tidegate", &mut script);
            output::raw(&script);
            Ok(Exit::Ok)
        }
    }
}

fn block_on<F: Future<Output = Result<Exit, Failure>>>(command: F) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|error| Failure::new(Exit::Failed, format!("no runtime: {error}")))?
        .block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }
}
