//! The endpoint's side of the data plane: what it shows of rules, targets and tasks, and how it is
//! told what was found and counted.
//!
//! Rule: rules are read in the words of the AWS API, as whoever wrote them said them.

use serde::{Deserialize, Serialize};

use super::rules::Rule;

/// Everything a data plane needs, as it was at one moment.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Shown {
    pub listeners: Vec<Listener>,
    pub groups: Vec<Group>,
    pub tasks: Vec<Task>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listener {
    pub arn: String,
    pub load_balancer: String,
    pub port: u16,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Group {
    pub arn: String,
    /// Of the health check.
    pub path: String,
    /// `200`, `200,202` or `200-299`.
    pub codes: String,
    /// Seconds, as are timeout and delay.
    pub interval: f64,
    pub timeout: f64,
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
    /// Of deregistration.
    pub delay: f64,
    pub targets: Vec<Registered>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Registered {
    /// `i-…:port`.
    pub target: String,
    /// Deregistered, and its delay has not passed.
    pub leaving: bool,
    /// The state a test has set.
    pub forced: Option<String>,
}

/// A task that has left PENDING.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Task {
    pub arn: String,
    pub instance: String,
    /// Its process must go.
    pub stopping: bool,
    pub image: String,
    pub environment: std::collections::BTreeMap<String, String>,
    pub ports: Vec<u16>,
}

/// What the checks found of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    pub target_group: String,
    pub target: String,
    pub state: &'static str,
}

/// What was counted of a load balancer (without a group) or of one of its groups in a period.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counted {
    /// Start of the period, in seconds since 1970.
    pub at: f64,
    /// From then until the datapoint can be seen.
    pub delay: f64,
    pub load_balancer: String,
    pub target_group: Option<String>,
    pub requests: u64,
    #[serde(rename = "target-5xx")]
    pub target_5xx: u64,
    #[serde(rename = "elb-5xx")]
    pub elb_5xx: u64,
    pub unreached: u64,
    /// Response times in seconds, and how often.
    pub seconds: Vec<(f64, u64)>,
}

/// The controls of one account of the endpoint.
#[derive(Clone, Debug)]
pub struct World {
    http: reqwest::Client,
    endpoint: String,
    query: [(&'static str, String); 2],
}

impl World {
    pub fn new(endpoint: &str, account: &str, region: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let query = [("account", account.to_owned()), ("region", region.to_owned())];
        Ok(Self { http, endpoint: endpoint.to_owned(), query })
    }

    pub async fn show(&self) -> Result<Shown, reqwest::Error> {
        let asked = self.http.get(self.url("traffic", &[]));
        asked.send().await?.error_for_status()?.json().await
    }

    pub async fn tell_found(&self, found: &[Found]) -> Result<(), reqwest::Error> {
        self.tell("health", &[], &found).await
    }

    pub async fn tell_counted(&self, counted: &[Counted]) -> Result<(), reqwest::Error> {
        self.tell("load", &[], &counted).await
    }

    pub async fn tell_exit(&self, task: &str, code: i32) -> Result<(), reqwest::Error> {
        let code = code.to_string();
        self.tell("exit", &[("task", task), ("code", &code)], &()).await
    }

    async fn tell(
        &self,
        control: &str,
        arguments: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<(), reqwest::Error> {
        let told = self.http.post(self.url(control, arguments)).json(body);
        told.send().await?.error_for_status().map(drop)
    }

    /// ARNs and numbers need no escapes in a query.
    fn url(&self, control: &str, arguments: &[(&str, &str)]) -> String {
        let own = self.query.iter().map(|(name, value)| (*name, value.as_str()));
        let all = own.chain(arguments.iter().copied());
        let query: Vec<_> = all.map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}/_world/{control}?{}", self.endpoint, query.join("&"))
    }
}
