//! `tidegate token`: hand tokens out and take them back, through the running server, or in the
//! record of changes when none runs.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::exit::{Exit, Failure};
use super::kept::Kept;
use super::order::{now, state_owner};
use super::output::Output;
use super::remote::{Remote, Where};
use crate::access::{Deed, Ledger, Token, TokenEdge, TokenName, Verdict, nonce};
use crate::model::Role;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Hand a token out; it is shown once and kept nowhere.
    Create(CreateArgs),
    /// List the tokens that were handed out, without their secrets.
    List(ListArgs),
    /// Take a token back; it counts for nothing from now on.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Whom or what it is for; shown wherever it orders something.
    name: TokenName,
    /// What it may do: viewer, operator, releaser or admin.
    #[arg(long)]
    role: Role,
    /// When it stops counting, such as 12h or 30d; it does not expire otherwise.
    #[arg(long, value_name = "TIME", value_parser = period)]
    expires: Option<TimeDelta>,
    #[arg(long, value_name = "TEXT", default_value = "by command")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    name: TokenName,
    #[arg(long, value_name = "TEXT", default_value = "by command")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Deserialize, Serialize)]
struct Created {
    token: String,
    name: TokenName,
    role: Role,
    expires: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Listed {
    name: TokenName,
    role: Role,
    good: bool,
    created: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
    revoked: Option<DateTime<Utc>>,
    last_used: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Tokens {
    tokens: Vec<Listed>,
}

pub(super) async fn token(command: TokenCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create(args) => create(args, output).await,
        TokenCommand::List(args) => list(args, output).await,
        TokenCommand::Revoke(args) => revoke(args, output).await,
    }
}

async fn create(args: CreateArgs, output: Output) -> Result<Exit, Failure> {
    let CreateArgs { name, role, expires, reason, at } = args;
    let created = match Remote::find(&at).await? {
        Some(remote) => {
            let seconds = expires.map(|time| time.num_seconds());
            let body = json!({
                "name": name, "role": role, "expires_in_seconds": seconds, "reason": reason
            });
            remote.post("/api/v1/tokens", &body).await?
        }
        None => create_here(&at, name, role, expires, &reason).await?,
    };
    output.result(&created, || {
        let Created { token, name, role, expires } = &created;
        let until = expires.map_or("until it is revoked".to_owned(), |at| {
            format!("until {}", at.to_rfc3339_opts(SecondsFormat::Secs, true))
        });
        format!("{token}\n\n{name} is {role} with it, {until}. It is not shown again.")
    });
    Ok(Exit::Ok)
}

async fn create_here(
    at: &Where,
    name: TokenName,
    role: Role,
    expires: Option<TimeDelta>,
    reason: &str,
) -> Result<Created, Failure> {
    let mut ledger = Kept::find(at).await?.ledger().await?;
    let failed = |error| Failure::new(Exit::Failed, error);
    let (now, secret) = (now(), Token::random().map_err(failed)?);
    let expires = expires.map(|time| now + time);
    let token = ledger.tokens().new_token(name.clone(), role, expires, &secret, now);
    let token = token.map_err(|taken| {
        Failure::new(Exit::Failed, taken.to_string())
            .hint("choose another name, or revoke that token first")
    })?;
    let mut deed = deed("token_create", &name, reason)?;
    deed.after = Some(json!({ "role": role, "expires": expires }));
    ledger.append(&deed, Verdict::Done, None, Some(TokenEdge::Created { token }), now).await?;
    Ok(Created { token: secret.reveal().to_owned(), name, role, expires })
}

async fn list(args: ListArgs, output: Output) -> Result<Exit, Failure> {
    let tokens = match Remote::find(&args.at).await? {
        Some(remote) => remote.get("/api/v1/tokens").await?,
        None => listed(Kept::find(&args.at).await?.ledger().await?).await,
    };
    output.result(&tokens, || text(&tokens));
    Ok(Exit::Ok)
}

async fn revoke(args: RevokeArgs, output: Output) -> Result<Exit, Failure> {
    let RevokeArgs { name, reason, at } = args;
    if let Some(remote) = Remote::find(&at).await? {
        let path = format!("/api/v1/tokens/{name}/revoke");
        let _left: Tokens = remote.post(&path, &json!({ "reason": reason })).await?;
    } else {
        let mut ledger = Kept::find(&at).await?.ledger().await?;
        let known = ledger.tokens().get(&name).cloned().ok_or_else(|| {
            Failure::new(Exit::Failed, format!("there is no token `{name}`"))
                .hint("`tidegate token list` shows the tokens there are")
        })?;
        if known.revoked.is_none() {
            let mut deed = deed("token_revoke", &name, &reason)?;
            deed.before = Some(json!({ "role": known.role, "expires": known.expires }));
            let edge = TokenEdge::Revoked { name: name.clone() };
            ledger.append(&deed, Verdict::Done, None, Some(edge), now()).await?;
        }
    }
    output.result(&json!({ "name": name, "revoked": true }), || format!("{name} is revoked"));
    Ok(Exit::Ok)
}

fn deed(action: &str, name: &TokenName, reason: &str) -> Result<Deed, Failure> {
    let request = nonce().map_err(|error| Failure::new(Exit::Failed, error))?;
    let owner = state_owner();
    let new = Deed::new(&owner, &owner.name, &request, action);
    Ok(Deed { scope: format!("tokens/{name}"), reason: reason.to_owned(), ..new })
}

async fn listed(mut ledger: Ledger) -> Tokens {
    let now = now();
    let mut tokens = Vec::new();
    for known in ledger.tokens().clone().all() {
        tokens.push(Listed {
            name: known.name.clone(),
            role: known.role,
            good: known.is_live(now),
            created: known.created,
            expires: known.expires,
            revoked: known.revoked,
            last_used: ledger.last_used(&known.name).await,
        });
    }
    Tokens { tokens }
}

fn text(Tokens { tokens }: &Tokens) -> String {
    if tokens.is_empty() {
        return "no token was handed out; `tidegate token create NAME --role ROLE` does".to_owned();
    }
    let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
    let mut text = String::new();
    for token in tokens {
        let state = match (token.revoked, token.expires) {
            (Some(at), _) => format!("revoked {}", day(at)),
            (None, Some(at)) if token.good => format!("until {}", day(at)),
            (None, Some(at)) => format!("expired {}", day(at)),
            (None, None) => "does not expire".to_owned(),
        };
        let used = token.last_used.map_or("never used".to_owned(), |at| {
            format!("used {}", at.to_rfc3339_opts(SecondsFormat::Secs, true))
        });
        let (name, role) = (&token.name, token.role);
        text += &format!("{name:<20} {role:<9} {state:<19} {used}\n");
    }
    text
}

/// A whole number and a unit: `30m`, `12h`, `30d`.
fn period(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("`{text}` is no time: write a number and a unit, such as 12h or 30d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let whole = number.checked_mul(seconds).filter(|seconds| *seconds > 0);
    whole.map(|seconds| TimeDelta::seconds(seconds.into())).ok_or_else(wrong)
}
