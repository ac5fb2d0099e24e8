//! `tidegate notify`: try whether notifications arrive.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::source::Source;
use crate::control::{Clock, SystemClock};
use crate::notify::{Notice, Wire};
#[cfg(feature = "aws")]
use crate::notify::{Post, SendError};

#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Send a test to each target of the configuration, once.
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG", default_value = "tidegate.yaml")]
    config: Source,
    /// Only this target.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tried {
    target: String,
    arrived: bool,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn notify(command: NotifyCommand, output: Output) -> Result<Exit, Failure> {
    let NotifyCommand::Test(args) = command;
    let config = super::config::read(&args.config).await?;
    let names: Vec<_> = config.notify.iter().map(|target| target.name.clone()).collect();
    if names.is_empty() {
        return Err(Failure::new(Exit::Failed, "the configuration names nobody to tell")
            .hint("add targets under `notify`: docs/config.md"));
    }
    let wanted = |name: &str| args.target.as_deref().is_none_or(|target| target == name);
    let wire = wire()?;
    let notice = Notice::test(SystemClock.now());
    let mut tried = Vec::new();
    for target in config.notify.iter().filter(|target| wanted(&target.name)) {
        let error = wire.send(&target.to, &notice, SystemClock.now()).await.err();
        let error = error.map(|error| error.to_string());
        tried.push(Tried { target: target.name.clone(), arrived: error.is_none(), error });
    }
    if tried.is_empty() {
        let target = args.target.unwrap_or_default();
        return Err(Failure::new(Exit::Usage, format!("the configuration has no target {target}"))
            .hint(format!("it has {}", names.join(", "))));
    }
    output.result(&tried, || {
        let line = |one: &Tried| match &one.error {
            None => format!("{:16} arrived\n", one.target),
            Some(error) => format!("{:16} not arrived: {error}\n", one.target),
        };
        tried.iter().map(line).collect()
    });
    let all = tried.iter().all(|one| one.arrived);
    Ok(if all { Exit::Ok } else { Exit::Unreachable })
}

/// The way to everybody that can be told.
pub(super) fn wire() -> Result<Wire, Failure> {
    let wire = Wire::new().map_err(|error| Failure::new(Exit::Failed, error))?;
    #[cfg(feature = "aws")]
    let wire = wire.with_topics(std::sync::Arc::new(|post| Box::pin(publish(post))));
    Ok(wire)
}

#[cfg(feature = "aws")]
async fn publish(Post { topic, subject, message }: Post) -> Result<(), SendError> {
    use crate::model::Failure::{Credentials, Throttled, Timeout, Unavailable};
    crate::aws::publish(&topic, &subject, &message).await.map_err(|failure| match failure {
        Throttled | Timeout | Unavailable { .. } | Credentials { .. } => {
            SendError::Again(failure.to_string())
        }
        _ => SendError::Never(failure.to_string()),
    })
}
