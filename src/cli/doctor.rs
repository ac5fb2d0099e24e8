//! `tidegate doctor`: what keeps Tidegate from its work in a cluster, with remedies. Nothing is
//! written.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::plan::{look, seen};
use super::source::Source;
use crate::config::{ClusterConfig, PoolConfig};
use crate::doctor::fix::{Form, fix};
use crate::doctor::{Facts, Finding, Weight, examine};
use crate::model::{ClusterName, Memory, Snapshot};

/// Time for the answer whose date is read.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The cluster to look at. Needs read permissions only.
    #[arg(long, value_name = "NAME", required_unless_present = "snapshot")]
    cluster: Option<ClusterName>,

    /// Use this configuration; without it the account is looked through with defaults.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<Source>,

    /// Look at a snapshot in a JSON file, as `plan --save-snapshot` writes it.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,

    /// How remedies are written.
    ///
    /// cli, terraform or cloudformation.
    #[arg(long, value_name = "FORM", default_value_t = Form::Cli)]
    fix: Form,

    /// Directory of the journals.
    #[arg(long, env = "TIDEGATE_STATE", value_name = "DIR", default_value = ".tidegate")]
    state: PathBuf,
}

/// A finding with its remedy.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    fix: String,
}

pub(super) async fn doctor(args: DoctorArgs, output: Output) -> Result<Exit, Failure> {
    let (config, snapshot, facts, identity) = match &args.snapshot {
        Some(file) => {
            let snapshot = seen(file)?;
            let config = configured(&args, &snapshot.cluster).await?;
            let pools = || snapshot.pools.value.keys().cloned().map(PoolConfig::new).collect();
            let whole = || ClusterConfig::new(snapshot.cluster.clone(), pools());
            (config.unwrap_or_else(whole), snapshot, Facts::default(), None)
        }
        None => live(&args).await?,
    };
    let findings = examine(&config, &snapshot, &facts);
    let remedy = |finding| fix(config.name.as_str(), finding, args.fix);
    let told: Vec<_> =
        findings.iter().map(|finding| Told { finding, fix: remedy(finding) }).collect();
    let result =
        serde_json::json!({ "cluster": config.name, "identity": identity, "findings": told });
    output.result(&result, || text(identity.as_deref(), &told));
    let blocks = findings.iter().any(|finding| finding.weight == Weight::Blocks);
    Ok(if blocks { Exit::Blocked } else { Exit::Ok })
}

/// What was seen, and as whom.
type Look = (ClusterConfig, Snapshot, Facts, Option<String>);

async fn live(args: &DoctorArgs) -> Result<Look, Failure> {
    let Some(cluster) = &args.cluster else {
        return Err(Failure::new(Exit::Usage, "no cluster is named"));
    };
    let config = configured(args, cluster).await?;
    let skew = skew(config.as_ref().and_then(|config| config.region.as_deref())).await;
    let (config, preview) = look(cluster, config, Some(Memory::default())).await?;
    let facts = Facts { skew, state_is_fleeting: Some(is_fleeting(&args.state)) };
    let identity = identity(&config).await;
    Ok((config, preview.snapshot, facts, identity))
}

#[cfg(feature = "aws")]
async fn identity(scope: &ClusterConfig) -> Option<String> {
    crate::aws::identity(scope).await.ok()
}

#[cfg(not(feature = "aws"))]
async fn identity(_scope: &ClusterConfig) -> Option<String> {
    None
}

async fn configured(
    args: &DoctorArgs,
    cluster: &ClusterName,
) -> Result<Option<ClusterConfig>, Failure> {
    let Some(source) = &args.config else { return Ok(None) };
    let found = super::config::read(source).await?.cluster(cluster).cloned();
    found.map(Some).ok_or_else(|| {
        let text = format!("{source} has no cluster `{cluster}`");
        Failure::new(Exit::BadConfig, text)
    })
}

/// By the date of an answer of AWS, to the second; any answer has one, a refusal too.
async fn skew(region: Option<&str>) -> Option<TimeDelta> {
    let of_environment =
        || std::env::var("AWS_REGION").or_else(|_| std::env::var("AWS_DEFAULT_REGION")).ok();
    let region = region.map(str::to_owned).or_else(of_environment);
    let url = match std::env::var("AWS_ENDPOINT_URL") {
        Ok(url) => url,
        Err(_) => format!("https://sts.{}.amazonaws.com/", region?),
    };
    let http = reqwest::Client::builder().timeout(PATIENCE).build().ok()?;
    let answer = http.get(url).send().await.ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    let theirs = DateTime::parse_from_rfc2822(date).ok()?.with_timezone(&Utc);
    Some(super::order::now() - theirs)
}

/// In a container, what is not mounted goes with it.
fn is_fleeting(state: &Path) -> bool {
    let contained = std::env::var_os("ECS_CONTAINER_METADATA_URI_V4").is_some()
        || Path::new("/.dockerenv").exists();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let state = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    // The fifth field is where it is mounted (proc(5)).
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let mounted = points.filter(|point| *point != "/").any(|point| state.starts_with(point));
    contained && !mounted
}

fn text(identity: Option<&str>, told: &[Told<'_>]) -> String {
    let mut text = identity.map(|arn| format!("asks AWS as {arn}\n")).unwrap_or_default();
    for (weight, title) in [
        (Weight::Blocks, "Blocks: something that is asked for will not be done, or is undone"),
        (Weight::Advice, "Advice"),
    ] {
        let of: Vec<_> = told.iter().filter(|told| told.finding.weight == weight).collect();
        if of.is_empty() {
            continue;
        }
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{title} ({})", of.len());
        for Told { finding, fix } in of {
            let Finding { kind, subject, explanation, .. } = finding;
            let fix = fix.replace('\n', "\n      ");
            let _written = writeln!(text, " ! {kind}  {subject}\n      {explanation}\n      {fix}");
        }
    }
    if told.is_empty() {
        text += "nothing found";
    }
    text
}
