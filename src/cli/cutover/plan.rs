//! `tidegate cutover plan`: what a cutover would do, and the worst that each step can cost.

use std::path::PathBuf;

use super::{Named, text};
use crate::cli::exit::{Exit, Failure};
use crate::cli::order::now;
use crate::cli::output::Output;
use crate::cli::plan::{look, seen};
use crate::cli::remote::Remote;
use crate::config::{ClusterConfig, Config, CutoverConfig};
use crate::cutover::tell::{fresh, told};
use crate::cutover::told::CutoverTold;
use crate::model::{ClusterName, CutoverName, Memory, ServiceName, Snapshot};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    of: Named,

    /// Only the route to this service.
    #[arg(long, value_name = "SERVICE")]
    route: Option<ServiceName>,

    /// Plan from a snapshot in a JSON file, as `tidegate plan --save-snapshot` writes it.
    #[arg(long, value_name = "FILE", requires = "config")]
    snapshot: Option<PathBuf>,

    /// Look at AWS even if a server runs that could be asked.
    #[arg(long, requires = "config")]
    direct: bool,
}

pub(super) async fn plan(args: Args, output: Output) -> Result<Exit, Failure> {
    let mut cutover = find(&args).await?;
    if let Some(route) = &args.route {
        cutover.routes.retain(|known| known.to == *route);
    }
    output.result(&cutover, || text::plan(&cutover));
    Ok(if cutover.asks || text::asks(&cutover) { Exit::Blocked } else { Exit::Ok })
}

/// From the snapshot, the server, or a look of our own.
async fn find(args: &Args) -> Result<CutoverTold, Failure> {
    let Named { name, cluster, at } = &args.of;
    let server = args.snapshot.is_none() && !args.direct;
    if let (true, Some(remote)) = (server, Remote::find(at).await?) {
        return remote.get(&args.of.path()).await;
    }
    let Some(config) = at.given.config().await? else {
        // Says how to start a server.
        Remote::must(at).await?;
        return Err(Failure::new(Exit::Usage, "no configuration is given"));
    };
    let (config, cutover) = configured(&config, cluster, name)?;
    match &args.snapshot {
        Some(file) => {
            let snapshot = seen(file)?;
            one(&config, name, &snapshot)
        }
        None => {
            // Only of one that is under way is the load read, from which the worst case follows.
            let mut memory = Memory::default();
            memory.cutovers.insert(name.clone(), fresh(&cutover, now()));
            let (config, preview) = look(cluster, Some(config), Some(memory)).await?;
            one(&config, name, &preview.snapshot)
        }
    }
}

/// As it would begin.
fn one(
    config: &ClusterConfig,
    name: &CutoverName,
    snapshot: &Snapshot,
) -> Result<CutoverTold, Failure> {
    let all = told(config, snapshot, &Memory::default(), snapshot.taken_at);
    let found = all.into_iter().find(|cutover| cutover.name == *name);
    found.ok_or_else(|| Failure::new(Exit::Failed, format!("there is no cutover `{name}`")))
}

/// A cutover as configured, with its cluster.
pub(super) fn configured(
    config: &Config,
    cluster: &ClusterName,
    name: &CutoverName,
) -> Result<(ClusterConfig, CutoverConfig), Failure> {
    let missing = |what: String| Failure::new(Exit::BadConfig, format!("the configuration {what}"));
    let found = config.cluster(cluster).cloned();
    let config = found.ok_or_else(|| missing(format!("has no cluster `{cluster}`")))?;
    let found = config.cutovers.iter().find(|cutover| cutover.name == *name).cloned();
    let cutover =
        found.ok_or_else(|| missing(format!("has no cutover `{name}` in `{cluster}`")))?;
    Ok((config, cutover))
}
