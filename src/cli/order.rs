//! Orders of a person: mode, pause, resume, handover. Through the running server, or straight into
//! the journal when none runs.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::kept::Kept;
use super::output::Output;
use super::remote::{Remote, Where, actor};
use super::way::Way;
use crate::access::{Method, Principal};
use crate::control::{Clock, SystemClock};
use crate::model::{ClusterName, Mode, Order, PoolId, Role, Seq};

#[derive(Debug, Subcommand)]
pub(super) enum ModeCommand {
    /// Show the stored mode, and the one in force.
    Show(ModeShow),
    /// Set the stored mode: observe, recommend or act. The configuration's ceiling still holds.
    Set(ModeSet),
}

#[derive(Debug, Args)]
pub(super) struct ModeShow {
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct ModeSet {
    mode: Mode,
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    /// Why; kept with the order.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    /// Why; shown wherever something is held by it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    /// Only lift what holds this pool.
    #[arg(long, value_name = "POOL")]
    pool: Option<PoolId>,
    #[arg(long, value_name = "TEXT", default_value = "resumed")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct HandoverArgs {
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    /// Only these pools; every pool under managed scaling otherwise.
    #[arg(long, value_name = "POOL")]
    pool: Vec<PoolId>,
    /// Carry it out; without it only the change is shown.
    #[arg(long)]
    apply: bool,
    #[arg(long, value_name = "TEXT", default_value = "handover")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

/// The API's answer to an order.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Done {
    seq: Option<Seq>,
    pub(super) changes: Vec<String>,
}

pub(super) async fn mode(command: ModeCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        ModeCommand::Show(ModeShow { cluster, at }) => show(&cluster, &at, output).await,
        ModeCommand::Set(ModeSet { mode, cluster, reason, at }) => {
            let body = json!({ "mode": mode, "reason": reason });
            let order = Order::SetMode { mode };
            give(&at, &cluster, "mode", body, order, &reason).await?;
            // Only a running server knows the ceiling of its configuration, and not before its
            // first look; the order stands all the same.
            let in_force = match Remote::find(&at).await? {
                Some(remote) => modes(&remote, &cluster).await.ok(),
                None => None,
            };
            let in_force = in_force.map(|modes| modes.ceiling.min(mode));
            let result = json!({ "cluster": cluster, "stored": mode, "effective": in_force });
            let blocked = in_force.filter(|effective| *effective < mode);
            output.result(&result, || match blocked {
                Some(effective) => format!(
                    "{cluster}: mode {mode} is stored, but the configuration's ceiling keeps it at {effective}"
                ),
                None => format!("{cluster}: mode {mode}"),
            });
            Ok(if blocked.is_some() { Exit::Blocked } else { Exit::Ok })
        }
    }
}

#[derive(Debug, Deserialize)]
struct Modes {
    ceiling: Mode,
    stored: Mode,
    effective: Mode,
}

async fn modes(remote: &Remote, cluster: &ClusterName) -> Result<Modes, Failure> {
    let status: Value = remote.get(&format!("/api/v1/clusters/{cluster}")).await?;
    serde_json::from_value(status["mode"].clone())
        .map_err(|error| Failure::new(Exit::Failed, format!("the server's mode: {error}")))
}

async fn show(cluster: &ClusterName, at: &Where, output: Output) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::find(at).await? {
        let Modes { ceiling, stored, effective } = modes(&remote, cluster).await?;
        let result = json!({
            "cluster": cluster, "ceiling": ceiling, "stored": stored, "effective": effective
        });
        output.result(&result, || {
            format!("{cluster}: mode {effective} (stored {stored}, configuration allows {ceiling})")
        });
    } else {
        let memory = Kept::find(at).await?.memory(cluster).await?;
        let stored = memory.unwrap_or_default().mode;
        output.result(&json!({ "cluster": cluster, "stored": stored }), || {
            format!("{cluster}: stored mode {stored}; no server runs")
        });
    }
    Ok(Exit::Ok)
}

pub(super) async fn pause(args: PauseArgs, output: Output) -> Result<Exit, Failure> {
    let PauseArgs { cluster, reason, at } = args;
    let body = json!({ "reason": reason });
    give(&at, &cluster, "pause", body, Order::Pause, &reason).await?;
    output.result(&json!({ "cluster": cluster, "paused": true, "reason": reason }), || {
        format!("{cluster}: paused; `tidegate resume --cluster {cluster}` ends it")
    });
    Ok(Exit::Ok)
}

pub(super) async fn resume(args: ResumeArgs, output: Output) -> Result<Exit, Failure> {
    let ResumeArgs { cluster, pool, reason, at } = args;
    let body = json!({ "reason": reason, "pool": pool });
    let order = Order::Resume { pool: pool.clone() };
    give(&at, &cluster, "resume", body, order, &reason).await?;
    output.result(&json!({ "cluster": cluster, "resumed": true, "pool": pool }), || match &pool {
        Some(pool) => format!("{cluster}: {pool} is resumed"),
        None => format!("{cluster}: resumed"),
    });
    Ok(Exit::Ok)
}

pub(super) async fn handover(args: HandoverArgs, output: Output) -> Result<Exit, Failure> {
    let HandoverArgs { cluster, pool, apply, reason, at } = args;
    let remote = Remote::must(&at).await?;
    let body = json!({ "reason": reason, "pools": pool, "apply": apply });
    let done: Done = remote.post(&format!("/api/v1/clusters/{cluster}/handover"), &body).await?;
    let effective = modes(&remote, &cluster).await?.effective;
    let waits = apply && !done.changes.is_empty() && effective < Mode::Act;
    let result = json!({
        "cluster": cluster, "applied": apply, "changes": done.changes, "blocked": waits
    });
    output.result(&result, || {
        let mut text = match (done.changes.is_empty(), apply) {
            (true, _) => format!("{cluster}: nothing to hand over\n"),
            (false, true) => format!("{cluster}: ordered; the next tick makes these changes:\n"),
            (false, false) => format!("{cluster}: --apply would make these changes:\n"),
        };
        for change in &done.changes {
            text += &format!("  {change}\n");
        }
        if waits {
            text += &format!("the mode is {effective}: nothing is written before it is act\n");
        }
        text
    });
    Ok(if waits { Exit::Blocked } else { Exit::Ok })
}

/// Through a server, or into the journal.
async fn give(
    at: &Where,
    cluster: &ClusterName,
    verb: &str,
    body: Value,
    order: Order,
    reason: &str,
) -> Result<(), Failure> {
    match Way::find(at, cluster).await? {
        Way::Server(remote) => {
            let path = format!("/api/v1/clusters/{cluster}/{verb}");
            remote.post::<Done>(&path, &body).await.map(|_| ())
        }
        Way::Journal(writer) => writer.obey(order, reason, |_| Ok(())).await,
    }
}

/// Whoever can write the state directory, or the table, may do everything to it.
pub(super) fn state_owner() -> Principal {
    Principal { name: actor(), role: Role::Admin, method: Method::State, ambient: false }
}

pub(super) fn now() -> DateTime<Utc> {
    SystemClock.now()
}
