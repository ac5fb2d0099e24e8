//! `tidegate cutover`: what a cutover would do, where it stands, and the orders that steer it.
//! Orders go through the running server, or into the journal when none runs.

mod plan;
pub(super) mod text;
mod watch;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::kept::Kept;
use super::order::{Done, now};
use super::output::Output;
use super::remote::{Remote, Where};
use super::way::{Way, Writer};
use crate::access::nonce;
use crate::control::status::ClusterStatus;
use crate::cutover::told::{CutoverTold, MoveTold};
use crate::model::orders::{Known, check};
use crate::model::{
    ActionKind, ClusterName, CutoverName, CutoverOrder, Memory, Mode, Order, Refusal, ServiceName,
    Stage,
};

#[derive(Debug, Subcommand)]
pub(super) enum CutoverCommand {
    /// Show each route with its steps, gates and worst case; changes nothing.
    ///
    /// Exits with 3 when a person has to do something before it can begin.
    Plan(plan::Args),
    /// Begin. Rules and tasks are made ready; the first user is sent once a probe was answered.
    Start(Steer),
    /// Show where each route stands.
    ///
    /// Exits with 3 while it waits for a person. With --watch it returns when the cutover is over:
    /// with 0 when finalized, with 1 when rolled back.
    Status(StatusArgs),
    /// Take no step forward until resumed; weights stay as they are.
    Pause(Steer),
    /// Go on after a pause or a stop; the present step is watched anew.
    Resume(Steer),
    /// Let the next step pass: an approval, a bake or too little traffic no longer holds it.
    Promote(Promote),
    /// Give the old service everything back, and remove the rules of the cutover.
    Abort(Steer),
    /// Give the old service everything back, at once.
    Rollback(Back),
    /// Give the old service up now, without the rest of the keep-warm time.
    Finalize(Steer),
    /// After finalize: provide the old service again, then shift back.
    Undo(Steer),
    /// List the cutovers of a cluster.
    List(ListArgs),
    /// Show the moves of its routes, newest first.
    History(Named),
}

/// One cutover of one cluster.
#[derive(Debug, Args)]
pub(super) struct Named {
    #[arg(value_name = "CUTOVER")]
    name: CutoverName,
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct Steer {
    #[command(flatten)]
    of: Named,
    /// Why; kept with the order.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
pub(super) struct Promote {
    #[command(flatten)]
    steer: Steer,
    /// Only the route to this service.
    #[arg(long, value_name = "SERVICE")]
    route: Option<ServiceName>,
    /// All steps that are left; gates that fail still lead back.
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Args)]
pub(super) struct Back {
    #[command(flatten)]
    of: Named,
    /// Only the route to this service.
    #[arg(long, value_name = "SERVICE")]
    route: Option<ServiceName>,
    #[arg(long, value_name = "TEXT", default_value = "rolled back")]
    reason: String,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    of: Named,
    /// Only the route to this service.
    #[arg(long, value_name = "SERVICE")]
    route: Option<ServiceName>,
    /// Follow it until it is over.
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Deserialize, Serialize)]
struct Cutovers {
    cutovers: Vec<CutoverTold>,
}

#[derive(Debug, Deserialize, Serialize)]
struct History {
    history: Vec<MoveTold>,
}

pub(super) async fn cutover(command: CutoverCommand, output: Output) -> Result<Exit, Failure> {
    let steer = async |verb: &str, Steer { of, reason }: Steer, order| {
        give(&of, verb, order, &reason, output).await
    };
    match command {
        CutoverCommand::Plan(args) => plan::plan(args, output).await,
        CutoverCommand::Start(args) => start(args, output).await,
        CutoverCommand::Status(args) => status(args, output).await,
        CutoverCommand::Pause(args) => steer("pause", args, CutoverOrder::Pause).await,
        CutoverCommand::Resume(args) => steer("resume", args, CutoverOrder::Resume).await,
        CutoverCommand::Promote(Promote { steer: args, route, full }) => {
            steer("promote", args, CutoverOrder::Promote { route, full }).await
        }
        CutoverCommand::Abort(args) => steer("abort", args, CutoverOrder::Abort).await,
        CutoverCommand::Rollback(Back { of, route, reason }) => {
            give(&of, "rollback", CutoverOrder::Rollback { route }, &reason, output).await
        }
        CutoverCommand::Finalize(args) => steer("finalize", args, CutoverOrder::Finalize).await,
        CutoverCommand::Undo(args) => steer("undo", args, CutoverOrder::Undo).await,
        CutoverCommand::List(args) => list(args, output).await,
        CutoverCommand::History(args) => history(args, output).await,
    }
}

impl Named {
    fn path(&self) -> String {
        format!("/api/v1/clusters/{}/cutovers/{}", self.cluster, self.name)
    }
}

/// The routes are those of the server's configuration; without a server, of the file.
async fn start(args: Steer, output: Output) -> Result<Exit, Failure> {
    let Steer { of, reason } = args;
    let routes = match Remote::find(&of.at).await? {
        Some(_) => Vec::new(),
        None => {
            let config = of.at.given.config().await?.ok_or_else(|| {
                let text = "no server runs, and no configuration names the routes";
                Failure::new(Exit::Usage, text).hint("give it with --config FILE")
            })?;
            let (_, cutover) = plan::configured(&config, &of.cluster, &of.name)?;
            cutover.routes.into_iter().map(|route| route.to).collect()
        }
    };
    let token = nonce().map_err(|error| Failure::new(Exit::Failed, error))?;
    let order = CutoverOrder::Start { token, routes };
    give(&of, "start", order, &reason, output).await
}

async fn status(args: StatusArgs, output: Output) -> Result<Exit, Failure> {
    let remote = Remote::must(&args.of.at).await?;
    let path = args.of.path();
    let mut told: CutoverTold = remote.get(&path).await?;
    if args.watch {
        told = watch::watch(&remote, &path, told).await?;
    }
    if let Some(route) = &args.route {
        told.routes.retain(|known| known.to == *route);
        if told.routes.is_empty() {
            let text = format!("cutover `{}` has no route to `{route}`", told.name);
            return Err(Failure::new(Exit::Failed, text).hint("leave --route out to see them all"));
        }
    }
    output.result(&told, || text::status(&told, now()));
    let back = told.routes.iter().any(|route| route.stage == Stage::RolledBack);
    Ok(match () {
        () if told.asks => Exit::Blocked,
        () if args.watch && back => Exit::Failed,
        () => Exit::Ok,
    })
}

async fn list(args: ListArgs, output: Output) -> Result<Exit, Failure> {
    let remote = Remote::must(&args.at).await?;
    let path = format!("/api/v1/clusters/{}/cutovers", args.cluster);
    let Cutovers { cutovers } = remote.get(&path).await?;
    output.result(&cutovers, || match cutovers.as_slice() {
        [] => format!("{}: no cutover is configured", args.cluster),
        all => all.iter().map(text::line).collect(),
    });
    Ok(Exit::Ok)
}

/// From the server, or as the journal remembers it when none runs.
async fn history(args: Named, output: Output) -> Result<Exit, Failure> {
    let history = match Remote::find(&args.at).await? {
        Some(remote) => remote.get::<History>(&format!("{}/history", args.path())).await?.history,
        None => {
            let memory = Kept::find(&args.at).await?.memory(&args.cluster).await?;
            let memory = memory.unwrap_or_default();
            let routes = memory.cutovers.get(&args.name).map(|memory| &memory.routes);
            let mut moves: Vec<_> = routes
                .into_iter()
                .flatten()
                .flat_map(|(to, route)| route.history.iter().map(move |moved| (to, moved)))
                .map(|(to, moved)| MoveTold { to: to.clone(), moved: moved.clone() })
                .collect();
            moves.sort_by_key(|told| std::cmp::Reverse(told.moved.at));
            moves
        }
    };
    output.result(&history, || match history.as_slice() {
        [] => format!("{}: no move yet", args.name),
        moves => moves.iter().map(text::moved).collect(),
    });
    Ok(Exit::Ok)
}

/// Through a server, or into the journal; refused where it would do nothing.
async fn give(
    of: &Named,
    verb: &str,
    order: CutoverOrder,
    reason: &str,
    output: Output,
) -> Result<Exit, Failure> {
    let Named { name, cluster, at } = of;
    let text = format!("{cluster}: {order} of cutover {name} is ordered");
    let waits = match Way::find(at, cluster).await? {
        Way::Server(remote) => {
            remote.post::<Done>(&format!("{}/{verb}", of.path()), &body(&order, reason)).await?;
            waits(&remote.get(&format!("/api/v1/clusters/{cluster}")).await?, &order)
        }
        Way::Journal(writer) => {
            record(writer, name, order, reason).await?;
            None
        }
    };
    let result = json!({ "cluster": cluster, "cutover": name, "ordered": verb, "blocked": waits });
    output.result(&result, || match &waits {
        Some(why) => format!("{text}, but {why}"),
        None => text,
    });
    Ok(if waits.is_some() { Exit::Blocked } else { Exit::Ok })
}

fn body(order: &CutoverOrder, reason: &str) -> Value {
    match order {
        CutoverOrder::Promote { route, full } => {
            json!({ "reason": reason, "route": route, "full": full })
        }
        CutoverOrder::Rollback { route } => json!({ "reason": reason, "route": route }),
        _ => json!({ "reason": reason }),
    }
}

async fn record(
    writer: Box<Writer>,
    name: &CutoverName,
    steer: CutoverOrder,
    reason: &str,
) -> Result<(), Failure> {
    let order = Order::Cutover { cutover: name.clone(), steer: steer.clone() };
    let check = |memory: &Memory| {
        let known = Known::of(name, memory.cutovers.get(name));
        check(&known, &steer).map_err(|Refusal { detail, remedy, .. }| {
            Failure::new(Exit::Failed, detail).hint(remedy)
        })
    };
    writer.obey(order, reason, check).await
}

/// What keeps an order from taking effect, although it stands.
fn waits(cluster: &ClusterStatus, order: &CutoverOrder) -> Option<String> {
    let mode = cluster.mode.effective;
    if *order == CutoverOrder::Pause {
        return None;
    }
    if mode < Mode::Act {
        return Some(format!("the mode is {mode}: nothing is written before it is act"));
    }
    // The way back needs no permission of its own.
    if matches!(order, CutoverOrder::Rollback { .. } | CutoverOrder::Abort | CutoverOrder::Undo) {
        return None;
    }
    if let Some(pause) = &cluster.pause {
        return Some(format!("the cluster is paused by {}: {}", pause.by, pause.reason));
    }
    let allowed = cluster.allow.contains(&ActionKind::Cutover);
    (!allowed).then(|| "`cutover` is not in `allow` of this cluster".to_owned())
}

#[cfg(test)]
mod tests;
