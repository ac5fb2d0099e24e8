//! `tidegate audit`: who did what, and whether the record of it is what was written.

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::exit::{Exit, Failure};
use super::kept::Kept;
use super::output::Output;
use super::remote::{Remote, Where};
use crate::access::{Broken, Head, Row};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Show the last changes and refusals, newest first.
    List(ListArgs),
    /// Check that no row was changed, taken out or moved; exits with 1 if one was.
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// How many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Only rows before this one.
    #[arg(long, value_name = "ROW")]
    before: Option<u64>,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Deserialize, Serialize)]
struct Audit {
    rows: Vec<Row>,
    head: Head,
}

#[derive(Debug, Deserialize, Serialize)]
struct Verified {
    intact: bool,
    head: Head,
    broken: Option<Broken>,
}

pub(super) async fn audit(command: AuditCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        AuditCommand::List(args) => list(args, output).await,
        AuditCommand::Verify(args) => verify(args, output).await,
    }
}

async fn list(args: ListArgs, output: Output) -> Result<Exit, Failure> {
    let ListArgs { limit, before, at } = args;
    let audit = match Remote::find(&at).await? {
        Some(remote) => {
            let before = before.map_or(String::new(), |row| format!("&before={row}"));
            remote.get::<Audit>(&format!("/api/v1/audit?limit={limit}{before}")).await?
        }
        None => {
            let mut ledger = Kept::find(&at).await?.unchecked_ledger()?;
            let rows = ledger.rows(before, usize::from(limit)).await?;
            Audit { rows, head: ledger.head().await? }
        }
    };
    output.result(&audit, || match audit.rows.as_slice() {
        [] => "nothing was changed yet".to_owned(),
        rows => rows.iter().map(line).collect(),
    });
    Ok(Exit::Ok)
}

async fn verify(args: VerifyArgs, output: Output) -> Result<Exit, Failure> {
    let verified = match Remote::find(&args.at).await? {
        Some(remote) => remote.get("/api/v1/audit/verify").await?,
        None => {
            let mut ledger = Kept::find(&args.at).await?.unchecked_ledger()?;
            let broken = ledger.verify().await?.err();
            let head = ledger.head().await.unwrap_or_default();
            Verified { intact: broken.is_none(), head, broken }
        }
    };
    output.result(&verified, || match &verified.broken {
        None => {
            format!("intact: {} rows, the last one is {}", verified.head.seq, verified.head.digest)
        }
        Some(broken) => format!("not intact: {broken}"),
    });
    Ok(if verified.intact { Exit::Ok } else { Exit::Failed })
}

/// `7  2026-11-21T09:00:00Z  ada (token, releaser)  set_mode web  done  first week`.
fn line(row: &Row) -> String {
    let deed = &row.deed;
    let at = row.at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let change = match (&deed.before, &deed.after) {
        (Some(before), Some(after)) => format!("  {before} -> {after}"),
        (None, Some(after)) => format!("  {after}"),
        _ => String::new(),
    };
    let detail = row.detail.as_ref().map_or(String::new(), |detail| format!(" ({detail})"));
    let who = format!("{} ({}, {})", deed.actor, deed.method, deed.role);
    let what = format!("{} {}", deed.action, deed.scope);
    let (seq, result, reason) = (row.seq, row.result, &deed.reason);
    let text =
        format!("{seq:>5}  {at}  {who}  {}{change}  {result}{detail}  {reason}", what.trim());
    format!("{}\n", text.trim_end())
}
