//! `tidegate export`: the policy for exactly what may be done, and files for the tools that watch
//! over Tidegate. Asks nobody but where the configuration is.

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};

use super::exit::{Exit, Failure};
use super::output;
use super::source::Source;
use crate::config::{ClusterConfig, Config};
use crate::model::{ActionKind, ClusterName, Mode};
use crate::policy::{self, Part, Place, SIZE_MAX};
use crate::telemetry::{alerts, grafana};

#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// Print the IAM policy for what a configuration, or a mode and kinds of action, allow.
    ///
    /// It is for the one role that Tidegate runs with. Clusters that have a `role_arn` are left to
    /// that role; name one with --cluster to print its policy.
    Iam(IamArgs),
    /// Print alert rules for Prometheus, as YAML.
    Alerts {
        /// Address of the page with the runbooks, which the alerts point to.
        #[arg(long, value_name = "URL", default_value = alerts::RUNBOOKS)]
        runbooks: String,
    },
    /// Print a dashboard for Grafana, as JSON.
    Grafana,
}

#[derive(Debug, Args)]
pub(super) struct IamArgs {
    /// What this configuration names stands in the policy by its ARN, and what it allows is allowed.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<Source>,

    /// The cluster; of the file, or any.
    #[arg(long, value_name = "NAME")]
    cluster: Option<ClusterName>,

    /// The mode, instead of the file's. Everything but `act` only reads.
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,

    /// Kinds of action, instead of the file's; in mode act.
    #[arg(long, value_name = "KIND", value_delimiter = ',', conflicts_with = "mode")]
    allow: Vec<ActionKind>,

    /// Also what `tidegate handover --apply` needs.
    #[arg(long)]
    handover: bool,

    /// A role that tasks of released services have; may be given several times.
    #[arg(long = "pass-role", value_name = "ARN")]
    pass_roles: Vec<String>,

    /// The account, where the file does not tell.
    #[arg(long, value_name = "ID")]
    account: Option<String>,

    /// The Region, where the file does not tell.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One policy document.
    Json,
    /// A template with a managed policy for each kind of document.
    Cloudformation,
    /// The same as resources of Terraform.
    Terraform,
}

pub(super) async fn export(command: ExportCommand) -> Result<Exit, Failure> {
    match command {
        ExportCommand::Iam(args) => return iam(args).await,
        ExportCommand::Alerts { runbooks } => output::raw(alerts::rules(&runbooks).as_bytes()),
        ExportCommand::Grafana => {
            output::raw(format!("{:#}\n", grafana::dashboard()).as_bytes());
        }
    }
    Ok(Exit::Ok)
}

async fn iam(args: IamArgs) -> Result<Exit, Failure> {
    if args.allow.contains(&ActionKind::Handover) {
        return Err(Failure::new(Exit::Usage, "a handover cannot be allowed once for all")
            .hint("`--handover` adds what ordering one needs"));
    }
    let (places, assumed) = match &args.config {
        Some(source) => of_file(&args, &super::config::read(source).await?)?,
        None => (vec![anywhere(&args)], Vec::new()),
    };
    let documents = || policy::documents(&places, &args.pass_roles, &assumed);
    match args.format {
        Format::Json => {
            let document = policy::document(&places, &args.pass_roles, &assumed);
            output::raw(document.json().as_bytes());
            let size = document.size();
            if size > SIZE_MAX {
                output::say(&format!(
                    "{size} characters, and a managed policy holds {SIZE_MAX}: `--format \
                     cloudformation` and `--format terraform` make several of it"
                ));
            }
        }
        Format::Cloudformation => output::raw(policy::cloudformation(&documents()).as_bytes()),
        Format::Terraform => output::raw(policy::terraform(&documents()).as_bytes()),
    }
    let releases = places.iter().any(|place| place.parts.contains(&Part::Release));
    if releases && args.pass_roles.is_empty() {
        output::say("services whose tasks have roles are released with `--pass-role ARN` for each");
    }
    for role in &assumed {
        output::say(&format!("{role} needs a policy of its own: `--cluster` prints it"));
    }
    Ok(Exit::Ok)
}

/// The clusters that are looked at with the same role, and the roles of the others.
fn of_file(args: &IamArgs, config: &Config) -> Result<(Vec<Place>, Vec<String>), Failure> {
    let named = |name: &ClusterName| {
        config.cluster(name).ok_or_else(|| {
            let names: Vec<_> = config.clusters.iter().map(|c| c.name.to_string()).collect();
            Failure::new(Exit::Usage, format!("the file has no cluster {name}"))
                .hint(format!("it has {}", names.join(", ")))
        })
    };
    let role = match &args.cluster {
        Some(name) => named(name)?.role_arn.as_ref(),
        None => None,
    };
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        config.clusters.iter().partition(|cluster| cluster.role_arn.as_ref() == role);
    let assumed: BTreeSet<String> = match role {
        Some(_) => BTreeSet::new(),
        None => elsewhere.iter().filter_map(|cluster| cluster.role_arn.clone()).collect(),
    };
    let places = here.into_iter().map(|cluster| {
        let mut cluster = cluster.clone();
        permit(args, &mut cluster);
        let place = Place::of(&cluster);
        // The table is reached with the role of the process.
        let keeps = role.is_none();
        let place = match (&args.config, keeps) {
            (_, false) => return complete(args, place),
            (Some(Source::Object { bucket, key }), true) => {
                place.read_from_object(format!("{bucket}/{key}"))
            }
            (Some(Source::Parameter(name)), true) => place.read_from_parameter(name),
            (Some(Source::File(_)) | None, true) => place,
        };
        complete(args, place.keeping(config))
    });
    let places: Vec<Place> = places.collect();
    // A process that only enters other scopes does nothing in its own.
    let places = if places.is_empty() { vec![Place::anywhere([])] } else { places };
    Ok((places, assumed.into_iter().collect()))
}

fn anywhere(args: &IamArgs) -> Place {
    let mut cluster = ClusterConfig::new("any", Vec::new());
    permit(args, &mut cluster);
    let mut place = Place::anywhere(policy::parts_of(cluster.mode, &cluster.allow));
    if let Some(name) = &args.cluster {
        place.cluster = name.to_string();
    }
    complete(args, place)
}

/// What the command line says of mode and kinds goes before what the file says.
fn permit(args: &IamArgs, cluster: &mut ClusterConfig) {
    if let Some(mode) = args.mode {
        cluster.mode = mode;
    }
    if !args.allow.is_empty() {
        cluster.mode = Mode::Act;
        cluster.allow = args.allow.iter().copied().collect();
    }
}

/// What the command line says of account and Region goes only where the file says nothing.
fn complete(args: &IamArgs, mut place: Place) -> Place {
    let unknown = Place::anywhere([]);
    if let Some(account) = args.account.as_ref().filter(|_| place.account == unknown.account) {
        place.account.clone_from(account);
    }
    if let Some(region) = args.region.as_ref().filter(|_| place.region == unknown.region) {
        place.region.clone_from(region);
    }
    if args.handover {
        place.parts.insert(Part::Handover);
    }
    place
}
