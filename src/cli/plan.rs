//! `tidegate plan`: a dry run. Nothing is written, in AWS or here.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::exit::{Exit, Failure};
use super::kept::Kept;
use super::output::{Output, say};
use super::remote::{Remote, Where};
use super::text;
use crate::config::{ClusterConfig, PoolConfig};
use crate::control::status::ClusterStatus;
use crate::control::{Preview, preview::replay};
use crate::model::{ClusterName, Memory, Snapshot};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The cluster to look at. Needs read permissions only.
    #[arg(long, value_name = "NAME", required_unless_present = "snapshot")]
    cluster: Option<ClusterName>,

    /// Plan from a snapshot in a JSON file, as `--save-snapshot` writes it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["save_snapshot", "direct"])]
    snapshot: Option<PathBuf>,

    /// Keep what was seen in a JSON file.
    #[arg(long, value_name = "FILE")]
    save_snapshot: Option<PathBuf>,

    /// Look at AWS even if a server runs that could be asked.
    #[arg(long)]
    direct: bool,

    /// Exit with 2 when changes are pending.
    #[arg(long)]
    detailed_exitcode: bool,

    #[command(flatten)]
    at: Where,
}

pub(super) async fn plan(args: Args, output: Output) -> Result<Exit, Failure> {
    let (status, by_itself) = match &args.snapshot {
        Some(file) => (from_file(&args, file).await?, false),
        None => from_cluster(&args).await?,
    };
    output.result(&status, || {
        let next = if by_itself && args.at.given.config.is_none() {
            let name = &status.name;
            format!(
                "\nNothing was changed. Next: tidegate config init --cluster {name} > tidegate.yaml"
            )
        } else {
            String::new()
        };
        text::plan(&status) + &next
    });
    let pending = !status.plan.would_do.is_empty() || !status.plan.not_allowed.is_empty();
    Ok(if args.detailed_exitcode && pending { Exit::ChangesPending } else { Exit::Ok })
}

/// A snapshot from a file.
pub(super) fn seen(file: &Path) -> Result<Snapshot, Failure> {
    let unreadable = |why: String| {
        Failure::new(Exit::Failed, format!("{}: {why}", file.display()))
            .hint("`tidegate plan --cluster NAME --save-snapshot FILE` writes one")
    };
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

/// Without a configuration, every pool of the snapshot with defaults.
async fn from_file(args: &Args, file: &Path) -> Result<ClusterStatus, Failure> {
    let snapshot = seen(file)?;
    let config = match configured(args, &snapshot.cluster).await? {
        Some(config) => config,
        None => {
            let pools = snapshot.pools.value.keys().cloned().map(PoolConfig::new).collect();
            ClusterConfig::new(snapshot.cluster.clone(), pools)
        }
    };
    Ok(shown(&config, &replay(&config, snapshot, Memory::default())))
}

/// From a running server, or, by itself, from AWS; and which of the two.
async fn from_cluster(args: &Args) -> Result<(ClusterStatus, bool), Failure> {
    let Some(cluster) = &args.cluster else {
        return Err(Failure::new(Exit::Usage, "no cluster is named"));
    };
    let ask = !args.direct && args.at.given.config.is_none() && args.save_snapshot.is_none();
    if ask && let Some(remote) = Remote::find(&args.at).await? {
        return Ok((remote.get(&format!("/api/v1/clusters/{cluster}")).await?, false));
    }
    let config = configured(args, cluster).await?;
    let kept = Kept::find(&args.at).await?;
    let known = kept.memory(cluster).await?;
    match &known {
        Some(memory) => say(&format!("journal      {kept}, up to record {}", memory.seq.0)),
        None => say("journal      none: removals are shown as if long unneeded"),
    }
    let (config, preview) = look(cluster, config, known).await?;
    if let Some(file) = &args.save_snapshot {
        let json = serde_json::to_string_pretty(&preview.snapshot).unwrap_or_default();
        std::fs::write(file, json)
            .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", file.display())))?;
    }
    Ok((shown(&config, &preview), true))
}

async fn configured(args: &Args, cluster: &ClusterName) -> Result<Option<ClusterConfig>, Failure> {
    let Some(config) = args.at.given.config().await? else { return Ok(None) };
    let found = config.cluster(cluster).cloned();
    found.map(Some).ok_or_else(|| {
        let names: Vec<_> = config.clusters.iter().map(|c| c.name.to_string()).collect();
        let text = format!("the configuration has no cluster `{cluster}`");
        Failure::new(Exit::BadConfig, text).hint(format!("it has {}", names.join(", ")))
    })
}

fn shown(config: &ClusterConfig, preview: &Preview) -> ClusterStatus {
    let Preview { snapshot, memory, plan, verdicts } = preview;
    ClusterStatus::of(config, snapshot, memory, plan, verdicts, plan.as_of)
}

#[cfg(not(feature = "aws"))]
pub(super) async fn look(
    _cluster: &ClusterName,
    _config: Option<ClusterConfig>,
    _known: Option<Memory>,
) -> Result<(ClusterConfig, Preview), Failure> {
    Err(super::run::without_aws())
}

/// Without a journal it is not known how long a host has been unneeded, so the plan shows what would
/// go if it had been for the whole window.
#[cfg(feature = "aws")]
pub(super) async fn look(
    cluster: &ClusterName,
    config: Option<ClusterConfig>,
    known: Option<Memory>,
) -> Result<(ClusterConfig, Preview), Failure> {
    use crate::aws::Aws;
    use crate::control::{SystemClock, preview};
    let scope = config.clone().unwrap_or_else(|| ClusterConfig::new(cluster.clone(), Vec::new()));
    let unreachable = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Unreachable, format!("cluster {cluster}: {error}"))
    };
    let aws = Aws::connect(&scope, SystemClock).await.map_err(|error| unreachable(&error))?;
    let mut config = match config {
        Some(config) => config,
        None => aws.discover(cluster).await.map_err(|error| unreachable(&error))?,
    };
    if known.is_none() {
        config.scale_in.stabilization = chrono::TimeDelta::zero();
    }
    let preview = preview(&aws, &config, known.unwrap_or_default(), &SystemClock).await;
    Ok((config, preview))
}
