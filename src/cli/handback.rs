//! `tidegate handback`: everything as it was before Tidegate, through the running server; or as
//! commands for people, from the journal alone.

use clap::Args;
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::kept::{Kept, no_journal};
use super::order::Done;
use super::output::Output;
use super::remote::{Remote, Where};
use crate::handback::print;
use crate::model::{ClusterName, CutoverName, PoolId, Scope, Side};

#[derive(Debug, Args)]
pub(super) struct HandbackArgs {
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    /// Only this pool.
    #[arg(long, value_name = "POOL", conflicts_with = "cutover")]
    pool: Option<PoolId>,
    /// Only this cutover.
    #[arg(long, value_name = "NAME")]
    cutover: Option<CutoverName>,
    /// Where open cutovers end: blue or green.
    #[arg(long, value_name = "SIDE")]
    side: Option<Side>,
    /// Carry it out; without it only the change is shown.
    #[arg(long, conflicts_with = "print")]
    apply: bool,
    /// Print it as commands of the AWS CLI, from the journal alone; asks no server, and AWS only
    /// where the journal is in a table.
    #[arg(long)]
    print: bool,
    #[arg(long, value_name = "TEXT", default_value = "handback")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

pub(super) async fn handback(args: HandbackArgs, output: Output) -> Result<Exit, Failure> {
    if args.print {
        return commands(&args, output).await;
    }
    let HandbackArgs { cluster, pool, cutover, side, apply, reason, at, .. } = args;
    let remote = Remote::must(&at).await?;
    let body = json!({
        "reason": reason, "pool": pool, "cutover": cutover, "side": side, "apply": apply
    });
    let done: Done = remote.post(&format!("/api/v1/clusters/{cluster}/handback"), &body).await?;
    let status: Value = remote.get(&format!("/api/v1/clusters/{cluster}")).await?;
    let waits = apply && !status["pause"].is_null();
    let result = json!({
        "cluster": cluster, "applied": apply, "changes": done.changes, "blocked": waits
    });
    output.result(&result, || {
        let mut text = match (done.changes.is_empty(), apply) {
            (true, true) => format!("{cluster}: ordered; nothing has to be changed for it\n"),
            (true, false) => format!("{cluster}: nothing to hand back\n"),
            (false, true) => format!("{cluster}: ordered; the next ticks change this:\n"),
            (false, false) => format!("{cluster}: --apply would change this:\n"),
        };
        for change in &done.changes {
            text += &format!("  {change}\n");
        }
        if waits {
            text += &format!("paused: `tidegate resume --cluster {cluster}` lets it begin\n");
        }
        text
    });
    Ok(if waits { Exit::Blocked } else { Exit::Ok })
}

async fn commands(args: &HandbackArgs, output: Output) -> Result<Exit, Failure> {
    let HandbackArgs { cluster, at, .. } = args;
    let kept = Kept::find(at).await?;
    let memory = kept.memory(cluster).await?.ok_or_else(|| no_journal(&kept, cluster))?;
    let scope = match (&args.pool, &args.cutover) {
        (Some(pool), _) => Scope::Pool(pool.clone()),
        (None, Some(cutover)) => Scope::Cutover(cutover.clone()),
        (None, None) => Scope::Cluster,
    };
    let lines = print::commands(cluster, &memory, &scope, args.side.unwrap_or(Side::Blue));
    output.result(&json!({ "cluster": cluster, "commands": lines }), || match lines.is_empty() {
        true => format!("# {cluster}: nothing to hand back"),
        false => lines.join("\n"),
    });
    Ok(Exit::Ok)
}
