//! Talking to a running server: where it is, its token, and what its answers mean for the exit code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::exit::{Exit, Failure};
use super::source::Source;
use crate::access::Token;
use crate::config::Config;

/// Longest wait for an answer; an order may wait for the end of a tick's writes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time in which a server that lives says so.
const TO_BE_ALIVE: Duration = Duration::from_secs(3);

/// Where errors of a configuration without a file are found.
pub(super) const CONFIG_TEXT: &str = "TIDEGATE_CONFIG_TEXT";

/// Which server or journal a command speaks to.
#[derive(Clone, Debug, Args)]
pub(super) struct Where {
    /// Address of a running server, such as http://127.0.0.1:8080.
    ///
    /// Without it, the server that runs on --state is asked, if there is one.
    #[arg(long, env = "TIDEGATE_SERVER", value_name = "URL")]
    pub(super) server: Option<String>,

    /// Token that permits changes; a server on --state needs none to be given.
    #[arg(long, env = "TIDEGATE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,

    /// Directory of the journals.
    #[arg(long, env = "TIDEGATE_STATE", value_name = "DIR", default_value = ".tidegate")]
    pub(super) state: PathBuf,

    #[command(flatten)]
    pub(super) given: Given,
}

/// The configuration of a command that can do without one.
#[derive(Clone, Debug, Args)]
pub(super) struct Given {
    /// The configuration: a file, s3://BUCKET/KEY, or ssm:NAME of a parameter. Where no server is
    /// found, it says where journals are.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    pub(super) config: Option<Source>,

    /// The configuration itself, where no file can be put beside the program.
    #[arg(long, value_name = "YAML", env = "TIDEGATE_CONFIG_TEXT", hide = true)]
    config_text: Option<String>,
}

impl Given {
    /// As it is now; `None`: there is none.
    pub(super) async fn config(&self) -> Result<Option<Config>, Failure> {
        match (&self.config, &self.config_text) {
            (Some(source), _) => super::config::read(source).await.map(Some),
            (None, Some(text)) => super::config::parse(text, CONFIG_TEXT).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// What a server leaves in its state directory for commands on the same machine.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) token: String,
    pub(super) pid: u32,
}

impl Address {
    fn path(state: &Path) -> PathBuf {
        state.join("server.json")
    }

    /// Of this process, which listens on `address`.
    pub(super) fn new(address: SocketAddr, token: &Token) -> Self {
        let url = format!("http://{}", from_here(address));
        Self { url, token: token.reveal().to_owned(), pid: std::process::id() }
    }

    /// Leaves it in the state directory; where that cannot be, commands need to be told.
    pub(super) fn leave(&self, state: &Path) {
        if let Err(error) = self.write(state) {
            tracing::warn!(%error, "commands on this machine will need --server and --token");
        }
    }

    /// Writes the file, readable by its owner only.
    fn write(&self, state: &Path) -> std::io::Result<()> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        std::fs::create_dir_all(state)?;
        // A file that exists would keep the permissions it has.
        Self::remove(state);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(Self::path(state))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)
    }

    /// Takes the file away again.
    pub(super) fn remove(state: &Path) {
        let _gone = std::fs::remove_file(Self::path(state));
    }

    fn find(state: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(state)).ok()?).ok()
    }
}

/// Where commands on this machine reach a server that listens on all addresses.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        known => known.ip(),
    };
    SocketAddr::new(ip, address.port())
}

/// A server that can be asked.
pub(super) struct Remote {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// What a server says of itself that lives.
#[derive(Debug, Deserialize)]
struct Health {
    status: String,
}

/// An error as the API tells it (RFC 9457).
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    hint: Option<String>,
}

impl Remote {
    /// The server named, else the one running on the state directory, else none.
    pub(super) async fn find(at: &Where) -> Result<Option<Self>, Failure> {
        if let Some(url) = &at.server {
            return Self::new(url, at.token.clone()).map(Some);
        }
        Self::on(&at.state, at.token.clone()).await
    }

    /// The server running on the state directory, asked with this token or its own.
    pub(super) async fn on(state: &Path, token: Option<String>) -> Result<Option<Self>, Failure> {
        let Some(address) = Address::find(state) else { return Ok(None) };
        // A file left by a server that was killed leads nowhere.
        Self::alive(&address.url, Some(token.unwrap_or(address.token))).await
    }

    /// The server at this address, if it answers itself: nobody named it, so the token goes to
    /// nothing that stands between or has taken its place.
    pub(super) async fn alive(url: &str, token: Option<String>) -> Result<Option<Self>, Failure> {
        let direct = reqwest::Client::builder().no_proxy();
        let direct = direct.redirect(reqwest::redirect::Policy::none());
        let remote = Self::through(direct, url, token)?;
        Ok(remote.is_alive().await.then_some(remote))
    }

    /// Asked without the token.
    async fn is_alive(&self) -> bool {
        let asked = self.http.get(format!("{}/healthz", self.base)).timeout(TO_BE_ALIVE);
        let Ok(answer) = asked.send().await else { return false };
        let is_good = answer.status().is_success();
        is_good && answer.json::<Health>().await.is_ok_and(|health| health.status == "ok")
    }

    /// The server, or a failure that says how to start one.
    pub(super) async fn must(at: &Where) -> Result<Self, Failure> {
        Self::find(at).await?.ok_or_else(|| {
            let state = at.state.display();
            Failure::new(
                Exit::Unreachable,
                format!("no server runs on the state directory {state}"),
            )
            .hint("start one with `tidegate run --config FILE`, or name one with --server URL")
        })
    }

    fn new(url: &str, token: Option<String>) -> Result<Self, Failure> {
        Self::through(reqwest::Client::builder(), url, token)
    }

    fn through(
        client: reqwest::ClientBuilder,
        url: &str,
        token: Option<String>,
    ) -> Result<Self, Failure> {
        let http = client.timeout(PATIENCE).build();
        let http = http.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        Ok(Self { base: url.trim_end_matches('/').to_owned(), token, http })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.answer(self.signed(self.http.get(format!("{}{path}", self.base)))).await
    }

    /// Gives an order in the name of whoever is logged in here.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Failure> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let request = request.header("x-tidegate-actor", actor());
        self.answer(self.signed(request)).await
    }

    fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Failure> {
        let unreachable = |error: reqwest::Error| {
            let why =
                std::error::Error::source(&error).map_or_else(String::new, |e| format!(": {e}"));
            Failure::new(Exit::Unreachable, format!("{} does not answer{why}", self.base))
                .hint("is the server running? `tidegate run --config FILE` starts one")
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| {
                let text = format!("{} answered what this version cannot read: {error}", self.base);
                Failure::new(Exit::Failed, text).hint("use the server's version of the program")
            });
        }
        let exit = match status.as_u16() {
            401 | 403 => Exit::NotPermitted,
            429 | 503 => Exit::RetryLater,
            _ => Exit::Failed,
        };
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(Problem { detail, hint: Some(hint) }) => Failure::new(exit, detail).hint(hint),
            Ok(Problem { detail, hint: None }) => Failure::new(exit, detail),
            Err(_) => Failure::new(exit, format!("{} answered {status}", self.base)),
        })
    }
}

/// The name an order is recorded under.
pub(super) fn actor() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    name.unwrap_or_else(|_| "operator".to_owned())
}
