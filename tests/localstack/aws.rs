//! One account of the local AWS, asked with the AWS SDK itself: what a story is built of and
//! judged by.
//!
//! Rule: nothing here knows Tidegate. What it did is read from AWS and from the endpoint's own
//! record of requests.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use crate::footing;
use crate::harness::endpoint;

mod asking;
mod building;

pub use asking::amount;
pub use building::user_data;

pub const REGION: &str = "us-east-1";

/// An account of its own, by its access key.
pub struct World {
    pub account: String,
    pub endpoint: String,
    pub ecs: aws_sdk_ecs::Client,
    pub autoscaling: aws_sdk_autoscaling::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub elbv2: aws_sdk_elasticloadbalancingv2::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub targets: aws_sdk_applicationautoscaling::Client,
    /// For clients of other services.
    pub sdk: aws_config::SdkConfig,
    http: reqwest::Client,
}

/// One line of the endpoint's record.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub number: u64,
    pub operation: String,
    /// When it arrived, in seconds since 1970.
    pub time: f64,
    /// What the client said of itself.
    pub agent: String,
    pub parameters: Value,
}

impl Request {
    /// Whether it may have changed something that has a size or gets traffic: neither what only
    /// looks, nor what takes messages or keeps records.
    pub fn writes(&self) -> bool {
        let others = [
            "Describe",
            "List",
            "Get",
            "Query",
            "Transact",
            "Receive",
            "DeleteMessage",
            "UpdateItem",
        ];
        !others.iter().any(|other| self.operation.starts_with(other))
    }
}

impl World {
    /// An account nobody has used, with a table and a queue for Tidegate.
    pub async fn new() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("randomness");
        let account = u64::from_le_bytes(random) % 900_000_000_000 + 100_000_000_000;
        let world = Self::of(&account.to_string()).await;
        footing::lay(&world).await;
        world
    }

    pub async fn of(account: &str) -> Self {
        use aws_config::{BehaviorVersion, Region};
        let credentials =
            aws_credential_types::Credentials::new(account, "test", None, None, "test");
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .endpoint_url(endpoint())
            .credentials_provider(credentials)
            .load()
            .await;
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self {
            account: account.to_owned(),
            endpoint: endpoint().to_owned(),
            ecs: aws_sdk_ecs::Client::new(&config),
            autoscaling: aws_sdk_autoscaling::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            targets: aws_sdk_applicationautoscaling::Client::new(&config),
            sdk: config,
            http,
        }
    }

    // ---- The endpoint's own controls and record

    /// `POST /_world/…`: what no API of AWS lets a client do.
    pub async fn control(&self, control: &str, arguments: &[(&str, &str)]) -> Value {
        let mut url = format!("{}/_world/{control}?account={}", self.endpoint, self.account);
        for (name, value) in arguments {
            write!(url, "&{name}={}", encoded(value)).expect("text");
        }
        let answer = self.http.post(&url).send().await.expect("the endpoint answers");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{control}: {body}");
        body
    }

    /// A request to a service without a client here. The endpoint tells account and service by the
    /// signature, and checks nothing else of it.
    pub async fn ask(&self, service: &str, request: reqwest::RequestBuilder) -> String {
        let scope = format!("{}/20260101/{REGION}/{service}/aws4_request", self.account);
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00");
        let answer = request.header("authorization", signed).send().await;
        let answer = answer.expect("the endpoint answers");
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert!(status.is_success(), "{service}: {status}: {text}");
        text
    }

    /// A request to SSM.
    pub async fn ssm(&self, operation: &str, parameters: Value) {
        self.json("ssm", &format!("AmazonSSM.{operation}"), &parameters).await;
    }

    /// A request to SNS.
    pub async fn sns(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let call = [("Action", action), ("Version", "2010-03-31")];
        self.query("sns", &[&call[..], parameters].concat()).await
    }

    /// Puts a bucket, or an object of one.
    pub async fn s3_put(&self, path: &str, body: &str) {
        let request = self.http.put(format!("{}/{path}", self.endpoint)).body(body.to_owned());
        self.ask("s3", request).await;
    }

    /// Every AWS request of the account after this number, oldest first.
    pub async fn requests(&self, after: u64) -> Vec<Request> {
        let (endpoint, account) = (&self.endpoint, &self.account);
        let url = format!("{endpoint}/_world/requests?account={account}&after={after}");
        let answer = self.http.get(&url).send().await.expect("the endpoint answers");
        answer.json().await.expect("a list of requests")
    }

    /// The number of the last request so far.
    pub async fn mark(&self) -> u64 {
        self.requests(0).await.last().map_or(0, |last| last.number)
    }

    /// Requests after this number that may have changed something.
    pub async fn writes(&self, after: u64) -> Vec<Request> {
        let mut requests = self.requests(after).await;
        requests.retain(Request::writes);
        requests
    }

    /// Requests of this operation after this number.
    pub async fn sent(&self, operation: &str, after: u64) -> Vec<Request> {
        let mut requests = self.requests(after).await;
        requests.retain(|request| request.operation == operation);
        requests
    }

    /// A call of a query API that no client of ours speaks, such as CloudFormation.
    pub async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> String {
        let form: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = self.http.post(&self.endpoint).body(form.join("&"));
        self.ask(service, request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// A call of a JSON API, by what stands in its header, such as `AWSEvents.PutRule`.
    pub async fn json(&self, service: &str, target: &str, body: &Value) -> Value {
        let request = self.http.post(&self.endpoint).header("x-amz-target", target);
        let kind = if matches!(service, "events" | "ssm") { "1.1" } else { "1.0" };
        let request = request.header("content-type", format!("application/x-amz-json-{kind}"));
        let answer = self.ask(service, request.body(body.to_string())).await;
        serde_json::from_str(&answer).unwrap_or_default()
    }

    /// What this is called in the account.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{REGION}:{}:{resource}", self.account)
    }
}

/// Percent-encoded for a query or a form.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("text");
        }
    }
    encoded
}
