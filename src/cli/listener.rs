//! `tidegate listener check`: what is wrong with a listener's rules. Nothing is written.

use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::cutover::listener::{Finding, Question, Severity, analyse};
use crate::model::{Listener, ListenerArn, Traffic};

#[derive(Debug, Subcommand)]
pub(super) enum ListenerCommand {
    /// Look for rules that are never reached, patterns that take too much, groups without targets.
    ///
    /// Exits with 3 when requests go where they should not, or nobody answers them.
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The listener to look at. Needs read permissions only.
    #[arg(long, value_name = "ARN", required_unless_present = "file")]
    listener: Option<ListenerArn>,

    /// The Region it is in, where the ARN does not say.
    #[arg(long, value_name = "REGION", conflicts_with = "file")]
    region: Option<String>,

    /// Look at listeners, rules and target groups in a JSON file instead.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// A path that is known to be asked for, such as `/api/`; may be given several times.
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
}

/// One listener with what was found.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    listener: &'a ListenerArn,
    findings: Vec<Finding>,
}

pub(super) async fn listener(command: ListenerCommand, output: Output) -> Result<Exit, Failure> {
    let ListenerCommand::Check(args) = command;
    let traffic = match (&args.file, &args.listener) {
        (Some(file), _) => from_file(file)?,
        (None, Some(listener)) => from_aws(listener, args.region.as_deref()).await?,
        (None, None) => return Err(Failure::new(Exit::Usage, "no listener is named")),
    };
    let listener = chosen(&traffic, args.listener.as_ref())?;
    let question = Question {
        listener,
        traffic: &traffic,
        native_rules: &BTreeSet::new(),
        moves: &[],
        from: None,
        known_paths: &args.paths,
    };
    let checked = Checked { listener: &listener.arn, findings: analyse(&question) };
    output.result(&checked, || text(listener, &checked.findings));
    let misroutes = checked.findings.iter().any(|f| f.severity == Severity::Misroutes);
    Ok(if misroutes { Exit::Blocked } else { Exit::Ok })
}

fn from_file(file: &Path) -> Result<Traffic, Failure> {
    let unreadable = |why: String| Failure::new(Exit::Failed, format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

#[cfg(feature = "aws")]
async fn from_aws(listener: &ListenerArn, region: Option<&str>) -> Result<Traffic, Failure> {
    use crate::aws::Aws;
    use crate::config::ClusterConfig;
    use crate::control::SystemClock;
    let unreachable = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Unreachable, format!("{listener}: {error}"))
    };
    let mut scope = ClusterConfig::new("default", Vec::new());
    scope.region = region.map(str::to_owned).or_else(|| region_of(listener));
    let aws = Aws::connect(&scope, SystemClock).await.map_err(|error| unreachable(&error))?;
    aws.traffic_of_listener(listener).await.map_err(|gaps| {
        let why: Vec<_> =
            gaps.iter().map(|gap| format!("{}: {}", gap.source, gap.failure)).collect();
        unreachable(&why.join("; "))
    })
}

/// `arn:aws:elasticloadbalancing:REGION:…`.
#[cfg(feature = "aws")]
fn region_of(listener: &ListenerArn) -> Option<String> {
    let region = listener.as_str().split(':').nth(3)?;
    (!region.is_empty()).then(|| region.to_owned())
}

#[cfg(not(feature = "aws"))]
async fn from_aws(_: &ListenerArn, _: Option<&str>) -> Result<Traffic, Failure> {
    Err(super::run::without_aws()
        .hint("give listeners, rules and target groups in a JSON file with --file FILE"))
}

/// The listener that was named, or the only one.
fn chosen<'a>(traffic: &'a Traffic, named: Option<&ListenerArn>) -> Result<&'a Listener, Failure> {
    let mut all = traffic.listeners.values();
    let found = match named {
        Some(arn) => traffic.listeners.get(arn),
        None => all.next().filter(|_| all.next().is_none()),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = traffic.listeners.keys().map(ToString::to_string).collect();
        let known = match names.as_slice() {
            [] => "there is none".to_owned(),
            names => format!("there are {}", names.join(", ")),
        };
        match named {
            Some(arn) => Failure::new(Exit::Failed, format!("no listener {arn}")).hint(known),
            None => Failure::new(Exit::Usage, "name one listener with --listener").hint(known),
        }
    })
}

fn text(listener: &Listener, findings: &[Finding]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = write_text(&mut text, listener, findings);
    text
}

fn write_text(to: &mut String, listener: &Listener, findings: &[Finding]) -> fmt::Result {
    let Listener { arn, protocol, port, rules, .. } = listener;
    writeln!(
        to,
        "{arn}\n{protocol}:{port}, {} and the default action",
        count(rules.len(), "rule")
    )?;
    let of = |severity| findings.iter().filter(move |f| f.severity == severity);
    for (severity, title) in [
        (Severity::Misroutes, "Misroutes: requests go wrong, or nobody answers them"),
        (Severity::Blocks, "Blocks: a cutover cannot move these"),
        (Severity::Advice, "Advice"),
    ] {
        let found = of(severity).count();
        if found > 0 {
            writeln!(to, "\n{title} ({found})")?;
        }
        for finding in of(severity) {
            let rule = match (finding.priority, &finding.pattern) {
                (Some(priority), Some(pattern)) => format!("rule {priority}  {pattern}  "),
                (Some(priority), None) => format!("rule {priority}  "),
                (None, _) => String::new(),
            };
            writeln!(to, " ! {rule}{}", finding.kind)?;
            writeln!(to, "      {}", finding.explanation)?;
            writeln!(to, "      remedy: {}", finding.remedy)?;
        }
    }
    let [wrong, blocked, advice] =
        [Severity::Misroutes, Severity::Blocks, Severity::Advice].map(|s| of(s).count());
    writeln!(to, "\n{wrong} to put right, {blocked} in the way of a cutover, {advice} to consider.")
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
