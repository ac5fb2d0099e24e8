//! `tidegate release` and `tidegate releases`: bring a new image of a service out, watch it, lead
//! it back. Orders go through the running server, or into the journal when none runs.

mod text;

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::exit::{Exit, Failure};
use super::order::Done;
use super::output::{Output, say};
use super::remote::{Remote, Where};
use super::way::{Way, Writer};
use crate::control::status::ClusterStatus;
use crate::control::{Clock, SystemClock};
use crate::model::{
    ActionKind, ClusterName, ImageName, Memory, Mode, Order, Refusal, ReleaseOrder, ReleaseStage,
    ServiceName,
};
use crate::release::orders::{Known, check};
use crate::release::told::ReleaseTold;

/// Time between two looks while it is watched.
const EVERY: Duration = Duration::from_secs(2);

/// Without IMAGE: where the last release of the service stands.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[arg(value_name = "SERVICE")]
    service: ServiceName,
    /// As Docker pulls it; of a registry other than Amazon ECR by its digest, NAME@sha256:...
    #[arg(value_name = "IMAGE")]
    image: Option<ImageName>,
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    /// Which container gets the image. Left out: the only one, the one behind the load balancer,
    /// or the one named like the service.
    #[arg(long, value_name = "NAME", requires = "image")]
    container: Option<String>,
    /// Lead the release back that is under way.
    #[arg(long, conflicts_with = "image")]
    abort: bool,
    /// Why; kept with the order. Needed to release; "aborted" where none is given to abort.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Follow it until it is over.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct ReleasesArgs {
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Deserialize, Serialize)]
struct Releases {
    releases: Vec<ReleaseTold>,
}

pub(super) async fn release(args: ReleaseArgs, output: Output) -> Result<Exit, Failure> {
    let ReleaseArgs { image, container, abort, reason, .. } = &args;
    let order = match (image.clone(), *abort) {
        (Some(image), _) => ReleaseOrder::Start { image, container: container.clone() },
        (None, true) => ReleaseOrder::Abort,
        (None, false) => return status(&Remote::must(&args.at).await?, &args, None, output).await,
    };
    let reason = match (reason.as_deref().map(str::trim), *abort) {
        (Some(reason), _) if !reason.is_empty() => reason,
        (None, true) => "aborted",
        _ => {
            let failure = Failure::new(Exit::Usage, "a reason is needed");
            return Err(failure.hint("give it with --reason TEXT, in a few words"));
        }
    };
    let waits = match Way::find(&args.at, &args.cluster).await? {
        Way::Server(remote) => {
            let before = last(&remote, &args).await.filter(|_| order != ReleaseOrder::Abort);
            let waits = give(&remote, &args, &order, reason).await?;
            if args.watch && waits.is_none() {
                return status(&remote, &args, before, output).await;
            }
            waits
        }
        Way::Journal(writer) => {
            record(writer, &args.service, &order, reason).await?;
            Some("no server runs; the order waits in the journal".to_owned())
        }
    };
    let ReleaseArgs { service, cluster, .. } = &args;
    let text = format!("{cluster}: {order} of {service} is ordered");
    let result = json!({
        "cluster": cluster, "service": service, "ordered": order.to_string(), "blocked": waits
    });
    output.result(&result, || match &waits {
        Some(why) => format!("{text}, but {why}"),
        None => format!("{text}; `tidegate release {service} --cluster {cluster}` shows it"),
    });
    Ok(if waits.is_some() { Exit::Blocked } else { Exit::Ok })
}

impl ReleaseArgs {
    fn path(&self) -> String {
        format!("/api/v1/clusters/{}/releases/{}", self.cluster, self.service)
    }
}

/// When the last release of the service was ordered, if there was one.
async fn last(remote: &Remote, args: &ReleaseArgs) -> Option<DateTime<Utc>> {
    if !args.watch {
        return None;
    }
    let told = remote.get::<ReleaseTold>(&args.path()).await;
    told.ok().map(|told| told.ordered_at)
}

/// Where it stands; with --watch, once it is over. `before` is when one was ordered that is not
/// meant: a server shows the next only at its next look.
async fn status(
    remote: &Remote,
    args: &ReleaseArgs,
    before: Option<DateTime<Utc>>,
    output: Output,
) -> Result<Exit, Failure> {
    let mut told = remote.get::<ReleaseTold>(&args.path()).await;
    if args.watch {
        let mut said = String::new();
        loop {
            match &told {
                Ok(told) if Some(told.ordered_at) == before => {}
                Ok(told) => {
                    let line = text::standing(told);
                    if line != said {
                        say(&line);
                        said = line;
                    }
                    if !told.open {
                        break;
                    }
                }
                Err(lost) if matches!(lost.exit, Exit::Unreachable | Exit::RetryLater) => {}
                // The order is in the journal; the next look shows it.
                Err(_) if said.is_empty() && args.image.is_some() => {}
                Err(failure) => return Err(failure.clone()),
            }
            SystemClock.sleep(EVERY).await;
            told = remote.get(&args.path()).await;
        }
    }
    let told = told?;
    output.result(&told, || text::status(&told));
    Ok(exit(&told))
}

fn exit(told: &ReleaseTold) -> Exit {
    match told.stage {
        _ if told.asks => Exit::Blocked,
        ReleaseStage::RolledBack | ReleaseStage::Refused | ReleaseStage::Superseded => Exit::Failed,
        _ => Exit::Ok,
    }
}

pub(super) async fn releases(args: ReleasesArgs, output: Output) -> Result<Exit, Failure> {
    let remote = Remote::must(&args.at).await?;
    let path = format!("/api/v1/clusters/{}/releases", args.cluster);
    let Releases { releases } = remote.get(&path).await?;
    output.result(&releases, || match releases.as_slice() {
        [] => format!("{}: nothing was released yet", args.cluster),
        all => all.iter().map(|told| text::standing(told) + "\n").collect(),
    });
    Ok(Exit::Ok)
}

/// Says what keeps the order from taking effect, although it stands.
async fn give(
    remote: &Remote,
    args: &ReleaseArgs,
    order: &ReleaseOrder,
    reason: &str,
) -> Result<Option<String>, Failure> {
    let (path, body) = match order {
        ReleaseOrder::Start { image, container } => {
            (args.path(), json!({ "image": image, "container": container, "reason": reason }))
        }
        ReleaseOrder::Abort => (format!("{}/abort", args.path()), json!({ "reason": reason })),
    };
    remote.post::<Done>(&path, &body).await?;
    let path = format!("/api/v1/clusters/{}", args.cluster);
    let status = remote.get::<ClusterStatus>(&path).await?;
    Ok(waits(&status, order))
}

async fn record(
    writer: Box<Writer>,
    service: &ServiceName,
    steer: &ReleaseOrder,
    reason: &str,
) -> Result<(), Failure> {
    let order = Order::Release { service: service.clone(), steer: steer.clone() };
    let check = |memory: &Memory| {
        check(&Known::of_memory(service, memory, None), steer).map_err(
            |Refusal { detail, remedy, .. }| Failure::new(Exit::Failed, detail).hint(remedy),
        )
    };
    writer.obey(order, reason, check).await
}

fn waits(cluster: &ClusterStatus, order: &ReleaseOrder) -> Option<String> {
    let mode = cluster.mode.effective;
    if mode < Mode::Act {
        return Some(format!("the mode is {mode}: nothing is written before it is act"));
    }
    // The way back needs no permission of its own.
    if *order == ReleaseOrder::Abort {
        return None;
    }
    if let Some(pause) = &cluster.pause {
        return Some(format!("the cluster is paused by {}: {}", pause.by, pause.reason));
    }
    let allowed = cluster.allow.contains(&ActionKind::Services);
    (!allowed).then(|| "`services` is not in `allow` of this cluster".to_owned())
}

#[cfg(test)]
mod tests;
