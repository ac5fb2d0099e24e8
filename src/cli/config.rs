//! `tidegate config`: check, show, schema, init.

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::{Exit, Failure};
use super::output::{self, Output};
use super::source::Source;
use crate::config::{self, Config};
use crate::model::{ActionKind, ClusterName, Mode};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read a file and say everything that is wrong with it.
    Check {
        #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG", default_value = "tidegate.yaml")]
        config: Source,
    },
    /// Print the configuration in force, with every default.
    Show {
        #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG", default_value = "tidegate.yaml")]
        config: Source,
        /// Say of each value where it comes from, as `--output json` always does.
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of the file, for editors.
    Schema,
    /// Look at an account and print a working configuration for a cluster.
    Init(InitArgs),
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: ClusterName,
    /// AWS Region, written into the file; the environment's otherwise.
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// The ceiling of the mode.
    #[arg(long, default_value_t = Mode::Observe)]
    pub(super) mode: Mode,
    /// Kinds of action permitted in mode act.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(super) allow: Vec<ActionKind>,
}

pub(super) async fn config(command: ConfigCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Check { config } => check(&config, output).await,
        ConfigCommand::Show { config, origin } => show(&config, origin, output).await,
        ConfigCommand::Schema => {
            output::raw(config::schema().as_bytes());
            Ok(Exit::Ok)
        }
        ConfigCommand::Init(args) => init(args, output).await,
    }
}

/// Reads it; every error in it, rendered with its line, in the failure.
pub(super) async fn read(source: &Source) -> Result<Config, Failure> {
    let text = source.text().await.map_err(|error| {
        Failure::new(Exit::BadConfig, format!("{source}: {error}"))
            .hint("`tidegate config init --cluster NAME > tidegate.yaml` writes one")
    })?;
    parse(&text, &source.to_string())
}

/// Reads the text of a file; `name` is where its errors are found.
pub(super) fn parse(text: &str, name: &str) -> Result<Config, Failure> {
    config::load(text, name).map_err(|errors| Failure::new(Exit::BadConfig, errors.to_string()))
}

async fn check(source: &Source, output: Output) -> Result<Exit, Failure> {
    let name = source.to_string();
    let text = source.text().await;
    let text = text.map_err(|error| Failure::new(Exit::BadConfig, format!("{name}: {error}")))?;
    match config::load(&text, &name) {
        Ok(config) => {
            let clusters: Vec<_> = config.clusters.iter().map(|c| c.name.to_string()).collect();
            output.result(&json!({ "valid": true, "clusters": clusters }), || {
                format!("{name}: valid, {}", clusters.join(", "))
            });
            Ok(Exit::Ok)
        }
        Err(errors) => {
            let list = errors.errors();
            output.result(&json!({ "valid": false, "errors": list }), || errors.to_string());
            Ok(Exit::BadConfig)
        }
    }
}

async fn show(source: &Source, origin: bool, output: Output) -> Result<Exit, Failure> {
    let config = read(source).await?;
    let shown = config::show(&config);
    output.result(&shown, || shown.text(origin));
    Ok(Exit::Ok)
}

#[cfg(not(feature = "aws"))]
async fn init(_args: InitArgs, _output: Output) -> Result<Exit, Failure> {
    Err(super::run::without_aws())
}

#[cfg(feature = "aws")]
async fn init(args: InitArgs, output: Output) -> Result<Exit, Failure> {
    use crate::aws::Aws;
    use crate::config::ClusterConfig;
    use crate::control::SystemClock;
    let InitArgs { cluster, region, mode, allow } = args;
    if let Some(kind) = allow.iter().find(|kind| kind.is_ordered()) {
        return Err(Failure::new(Exit::Usage, format!("a {kind} cannot be allowed once for all"))
            .hint(format!("a person orders each with `tidegate {kind}`")));
    }
    let unreachable = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Unreachable, format!("cluster {cluster}: {error}"))
    };
    let mut scope = ClusterConfig::new(cluster.clone(), Vec::new());
    scope.region = region.clone();
    let aws = Aws::connect(&scope, SystemClock).await.map_err(|error| unreachable(&error))?;
    let mut found = aws.discover(&cluster).await.map_err(|error| unreachable(&error))?;
    (found.region, found.mode) = (region, mode);
    if !allow.is_empty() {
        found.allow = allow.into_iter().collect();
    }
    let yaml = config::render(&found);
    output.result(&json!({ "config": yaml }), || yaml.clone());
    Ok(Exit::Ok)
}
