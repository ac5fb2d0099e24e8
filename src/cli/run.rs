//! `tidegate run`: the control loop of every configured cluster on the real AWS.

#[cfg(feature = "aws")]
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::exit::{Exit, Failure};
use super::output::Output;
#[cfg(feature = "aws")]
use super::output::say;
use super::source::Source;
#[cfg(feature = "aws")]
use crate::model::ClusterName;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration: a file, s3://BUCKET/KEY, or ssm:NAME of a parameter.
    #[arg(
        long,
        value_name = "FILE",
        env = "TIDEGATE_CONFIG",
        required_unless_present = "config_text",
        conflicts_with = "config_text"
    )]
    config: Option<Source>,

    /// The configuration itself, where no file can be put beside the program.
    #[arg(long, value_name = "YAML", env = "TIDEGATE_CONFIG_TEXT", hide_env_values = true)]
    config_text: Option<String>,

    /// Where API and dashboard listen. Beyond loopback a token must be given or created, or a load
    /// balancer configured under `access`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Where replicas that share a table reach this one, such as http://10.0.1.7:8080. Left out:
    /// the address it listens on, or the one that ECS has given to its task.
    #[arg(long, value_name = "URL", env = "TIDEGATE_ADVERTISE", value_parser = advertised)]
    advertise: Option<String>,

    /// Where `/metrics` alone is served, to whoever reaches it; nowhere unless given.
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,

    /// Names the server answers to, beyond loopback; may be repeated.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,

    /// Token that permits changes; made up and printed at start where none is given.
    #[arg(long, env = "TIDEGATE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// File that holds the token, such as a mounted secret.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,

    /// Directory of the journals, one server at a time; and of what commands on this machine need
    /// to find the server.
    #[arg(long, env = "TIDEGATE_STATE", value_name = "DIR", default_value = ".tidegate")]
    state: PathBuf,
}

#[cfg(not(feature = "aws"))]
pub(super) async fn run(_args: Args, _output: Output) -> Result<Exit, Failure> {
    Err(without_aws())
}

/// What commands say that need AWS in a build that has none.
#[cfg(not(feature = "aws"))]
pub(super) fn without_aws() -> Failure {
    Failure::new(Exit::Failed, "this build has no AWS SDK")
        .hint("build with the default features: `cargo build --release`")
}

#[cfg(feature = "aws")]
pub(super) async fn run(args: Args, _output: Output) -> Result<Exit, Failure> {
    use super::replica::{Replica, reached_at};
    use crate::access::Ledger;
    use crate::config::JournalConfig;
    use crate::journal::Sqlite;

    start_log()?;
    let config = given_config(&args).await?;
    let listener = bind(args.listen).await?;
    let listens = listener.local_addr().unwrap_or(args.listen);
    match config.journal.clone() {
        JournalConfig::Sqlite => {
            let open = async |name: &ClusterName| Ok(Sqlite::open(&args.state, name)?);
            let (hosts, ledger) = (hosts(&args, None), Ledger::open(&args.state).await?);
            start(&args, config, listener, hosts, ledger, open).await
        }
        JournalConfig::DynamoDb(table) => {
            let address = reached_at(args.advertise.as_deref(), listens).await;
            let at = address.as_deref().unwrap_or("no address, so that others pass it no orders");
            let replica = Replica::new(&table, address.clone()).await?;
            say(&format!("replica             {}, at {at}", replica.owner()));
            say(&format!("journal             table {}", replica.table()));
            let open = async |name: &ClusterName| Ok(replica.journal(name));
            let hosts = hosts(&args, address.as_deref());
            let ledger = replica.ledger().read().await?;
            start(&args, config, listener, hosts, ledger, open).await
        }
    }
}

/// Serves the clusters of a configuration, each with the journal that is opened for it.
#[cfg(feature = "aws")]
async fn start<J: crate::journal::Journal + 'static>(
    args: &Args,
    config: crate::config::Config,
    listener: tokio::net::TcpListener,
    hosts: BTreeSet<String>,
    ledger: crate::access::Ledger,
    open: impl AsyncFn(&ClusterName) -> Result<J, Failure>,
) -> Result<Exit, Failure> {
    use super::beside::Beside;
    use super::remote::Address;
    use super::serve::{Door, Scope, serve, stop_on_signal};
    use crate::access::Token;
    use crate::api::bind_allowed;
    use crate::aws::Aws;
    use crate::control::{Clock, Cluster, SystemClock};

    let beside = Beside::prepare(args.config.as_ref(), &config, args.metrics_listen).await?;
    let given = given_token(args)?;
    let handed_out = ledger.tokens().all().any(|token| token.is_live(SystemClock.now()));
    let authenticates = given.is_some() || handed_out || config.alb_oidc.is_some();
    bind_allowed(args.listen, authenticates)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let shown = !authenticates;
    let token = match given {
        Some(token) => token,
        None => Token::random().map_err(|error| Failure::new(Exit::Failed, error))?,
    };
    let alb = config.alb_oidc.map(believed).transpose()?;
    let stop = stop_on_signal()?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let mut scopes = Vec::new();
    for config in config.clusters {
        let mut journal = open(&config.name).await?;
        let cloud = Aws::connect(&config, SystemClock).await.map_err(|error| {
            Failure::new(Exit::Unreachable, format!("cluster {}: {error}", config.name))
        })?;
        let cluster = Cluster::open(config, &mut journal).await?;
        scopes.push(Scope { cloud, journal, clock: SystemClock, cluster });
    }
    Address::new(address, &token).leave(&args.state);
    say(&format!("dashboard and API   http://{address}/"));
    if shown {
        say(&format!("token for changes   {}", token.reveal()));
    }
    for scope in &scopes {
        let (config, memory) = (&scope.cluster.config, &scope.cluster.memory);
        let mode = crate::guard::effective_mode(config, memory);
        match scope.cluster.standing.leader() {
            None => say(&format!("cluster {}   mode {mode}", config.name)),
            Some(leader) => {
                say(&format!("cluster {}   standing by, {} leads", config.name, leader.owner));
            }
        }
    }
    let door = Door { listener, token, hosts, ledger, alb };
    let until = stop.clone();
    let tell = |publisher, status, orders: &_| beside.run(publisher, status, orders, until);
    let served = serve(scopes, door, tell, stop).await;
    Address::remove(&args.state);
    served.map(|()| Exit::Ok)
}

/// An address that other replicas can send orders to, as it is put into the lease.
fn advertised(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it must begin with http:// or https://".to_owned());
    }
    let is_signed = !url.username().is_empty() || url.password().is_some();
    if is_signed || url.query().is_some() || url.fragment().is_some() {
        return Err("it is an address alone, such as http://10.0.1.7:8080".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Names the server answers to beyond loopback: as told, and where others send orders to it.
#[cfg(feature = "aws")]
fn hosts(args: &Args, address: Option<&str>) -> BTreeSet<String> {
    let url = address.and_then(|address| reqwest::Url::parse(address).ok());
    let own = url.as_ref().and_then(reqwest::Url::host_str);
    let own = own.map(|host| host.trim_matches(['[', ']']).to_owned());
    args.allow_host.iter().cloned().chain(own).collect()
}

/// The load balancer that is believed about its users.
#[cfg(feature = "aws")]
fn believed(oidc: crate::config::AlbOidc) -> Result<crate::api::Alb, Failure> {
    use crate::api::{Alb, Keys};
    let base = crate::config::AlbOidc::keys_url(&oidc.alb_arn).unwrap_or_default();
    let http = Keys::client().map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(Alb::new(oidc, Keys::new(base, http)))
}

/// The configuration of a file, of the command line or of the environment.
#[cfg(feature = "aws")]
async fn given_config(args: &Args) -> Result<crate::config::Config, Failure> {
    match (&args.config, &args.config_text) {
        (Some(source), _) => super::config::read(source).await,
        (None, text) => {
            super::config::parse(text.as_deref().unwrap_or_default(), super::remote::CONFIG_TEXT)
        }
    }
}

/// The token of the command line, the environment or a file.
#[cfg(feature = "aws")]
fn given_token(args: &Args) -> Result<Option<crate::access::Token>, Failure> {
    use crate::access::Token;
    let (from, text) = match (&args.token, &args.token_file) {
        (Some(token), _) => ("TIDEGATE_TOKEN or --token".to_owned(), Ok(token.clone())),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
            (format!("--token-file {}", file.display()), text)
        }
        (None, None) => return Ok(None),
    };
    let token = text.and_then(|text| Token::new(&text));
    token.map(Some).map_err(|error| Failure::new(Exit::Usage, format!("{from}: {error}")))
}

/// Logs to standard error as `TIDEGATE_LOG` says.
pub(super) fn start_log() -> Result<(), Failure> {
    use crate::telemetry::log;
    let filter = std::env::var(log::FILTER_VARIABLE).ok();
    log::init(filter.as_deref()).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// Opens the listening socket.
pub(super) async fn bind(listen: SocketAddr) -> Result<tokio::net::TcpListener, Failure> {
    tokio::net::TcpListener::bind(listen).await.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot listen on {listen}: {error}")).hint(
            "choose another address with --listen or --metrics-listen; port 0 takes a free one",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advertised_is_an_address_of_http() {
        for (given, told) in [
            ("http://10.0.1.7:8080", "http://10.0.1.7:8080"),
            ("https://Tidegate.internal/", "https://tidegate.internal"),
            ("http://[fd00::7]:8080", "http://[fd00::7]:8080"),
        ] {
            assert_eq!(advertised(given).as_deref(), Ok(told));
        }
        for wrong in
            ["", "10.0.1.7:8080", "tidegate.internal:8080", "ftp://a", "http://", "http://u:p@a"]
        {
            assert!(advertised(wrong).is_err(), "{wrong}");
        }
    }
}
