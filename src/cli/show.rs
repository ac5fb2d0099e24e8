//! `tidegate status` and `tidegate decisions`: what a running server shows.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::exit::{Exit, Failure};
use super::kept::Kept;
use super::output::Output;
use super::remote::{Remote, Where};
use super::text;
use crate::control::status::{ClusterStatus, Decision};
use crate::model::ClusterName;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this cluster.
    #[arg(long, value_name = "NAME")]
    cluster: Option<ClusterName>,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct DecisionsArgs {
    /// One decision with everything it rests on.
    id: Option<String>,
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    /// How many, newest first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Deserialize, Serialize)]
struct Clusters {
    clusters: Vec<Named>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Named {
    name: ClusterName,
}

#[derive(Debug, Deserialize, Serialize)]
struct Decisions {
    decisions: Vec<Decision>,
}

pub(super) async fn status(args: StatusArgs, output: Output) -> Result<Exit, Failure> {
    let remote = Remote::must(&args.at).await?;
    let names = match args.cluster {
        Some(name) => vec![name],
        None => {
            let Clusters { clusters } = remote.get("/api/v1/clusters").await?;
            clusters.into_iter().map(|cluster| cluster.name).collect()
        }
    };
    let mut clusters: Vec<ClusterStatus> = Vec::new();
    for name in names {
        clusters.push(remote.get(&format!("/api/v1/clusters/{name}")).await?);
    }
    output.result(&clusters, || clusters.iter().map(text::status).collect::<Vec<_>>().join("\n"));
    Ok(Exit::Ok)
}

/// From the server, or from the ring beside the journal when none runs.
pub(super) async fn decisions(args: DecisionsArgs, output: Output) -> Result<Exit, Failure> {
    let DecisionsArgs { id, cluster, limit, at } = args;
    let base = format!("/api/v1/clusters/{cluster}/decisions");
    let remote = Remote::find(&at).await?;
    let decisions = match (&remote, &id) {
        (Some(remote), Some(id)) => vec![remote.get::<Decision>(&format!("{base}/{id}")).await?],
        (Some(remote), None) => {
            remote.get::<Decisions>(&format!("{base}?limit={limit}")).await?.decisions
        }
        (None, id) => {
            let kept = Kept::find(&at).await?;
            let kept = kept.decisions(&cluster, id.as_deref(), usize::from(limit)).await?;
            kept.into_iter().filter_map(|json| serde_json::from_value(json).ok()).collect()
        }
    };
    if id.is_some() {
        let Some(decision) = decisions.first() else {
            return Err(Failure::new(Exit::Failed, "there is no such decision")
                .hint(format!("`tidegate decisions --cluster {cluster}` lists the last ones")));
        };
        output.result(decision, || text::explained(decision));
    } else {
        output.result(&decisions, || decisions.iter().map(text::decision).collect());
    }
    Ok(Exit::Ok)
}
