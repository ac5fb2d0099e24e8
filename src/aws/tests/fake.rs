//! A fake at the wire: answers HTTP requests with canned pages, so that the SDK's own parsing,
//! paging, retries and timeouts run as they do against AWS.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use super::super::{Aws, SdkConfig};
use super::TestClock;

/// A request as it went over the wire.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `ecs:ListServices`.
    pub(super) call: String,
    /// JSON, or a form.
    pub(super) body: String,
    /// Where it went.
    pub(super) host: String,
    /// What the client said of itself.
    pub(super) agent: String,
}

impl Asked {
    /// A field of a JSON request.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What the wire gives back.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Json(Value),
    /// The inside of a query protocol's answer.
    Xml(String),
    /// JSON, after this time.
    Late(Duration, Value),
    Error(u16, &'static str, &'static str),
    /// The connection is cut after the request was sent.
    Cut,
    /// No connection is made.
    Down,
    /// No answer ever.
    Silence,
}

type Otherwise = fn(&Asked) -> Reply;

/// Answers by call, in order; the last answer of a call is repeated.
#[derive(Clone)]
pub(super) struct Fake {
    replies: Arc<Mutex<BTreeMap<String, VecDeque<Reply>>>>,
    otherwise: Otherwise,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    /// Answers what was not scripted with `otherwise`.
    pub(super) fn new(otherwise: Otherwise) -> Self {
        Self { replies: Arc::default(), otherwise, log: Arc::default() }
    }

    /// Scripts the answers to one call, in place of what was scripted before.
    pub(super) fn on(&self, call: &str, replies: impl IntoIterator<Item = Reply>) -> &Self {
        let replies = replies.into_iter().collect();
        self.replies.lock().unwrap().insert(call.to_owned(), replies);
        self
    }

    /// How often each call has been made so far.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for asked in self.log.lock().unwrap().iter() {
            *counts.entry(asked.call.clone()).or_default() += 1;
        }
        counts
    }

    /// Every request of this call so far.
    pub(super) fn asked(&self, call: &str) -> Vec<Asked> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|asked| asked.call == call).cloned().collect()
    }

    /// The adapter, speaking to this fake.
    pub(super) fn aws(&self, clock: &TestClock) -> Aws<TestClock> {
        Aws::with_config(&self.config(), "web".into(), clock.clone())
    }

    /// What clients on this fake are made of.
    pub(super) fn config(&self) -> SdkConfig {
        let key = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(key))
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .http_client(self.clone())
            .build()
    }

    fn reply(&self, asked: &Asked) -> Reply {
        let mut replies = self.replies.lock().unwrap();
        match replies.get_mut(&asked.call) {
            Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
            Some(queue) => queue.front().cloned().unwrap(),
            None => (self.otherwise)(asked),
        }
    }
}

fn asked(request: &HttpRequest) -> Asked {
    let body = request.body().bytes().unwrap_or_default();
    let body = String::from_utf8_lossy(body).into_owned();
    let host = request.uri().to_owned();
    let agent = request.headers().get("user-agent").unwrap_or_default().to_owned();
    if let Some((_, operation)) = request.uri().split_once("/operation/") {
        return Asked { call: format!("cloudwatch:{operation}"), body, host, agent };
    }
    let call = match request.headers().get("x-amz-target") {
        Some(target) => {
            let (service, operation) = target.split_once('.').unwrap();
            let service = match service {
                ecs if ecs.starts_with("AmazonEC2ContainerService") => "ecs",
                ecr if ecr.starts_with("AmazonEC2ContainerRegistry") => "ecr",
                ssm if ssm.starts_with("AmazonSSM") => "ssm",
                sqs if sqs.starts_with("AmazonSQS") => "sqs",
                dynamodb if dynamodb.starts_with("DynamoDB") => "dynamodb",
                _ => "application-autoscaling",
            };
            format!("{service}:{operation}")
        }
        None => {
            let mut fields = body.split('&');
            let action = fields.find_map(|field| field.strip_prefix("Action=")).unwrap();
            let service = match body.split_once("Version=").map_or("", |(_, rest)| &rest[..10]) {
                "2011-01-01" => "autoscaling",
                "2015-12-01" => "elasticloadbalancing",
                _ => "ec2",
            };
            format!("{service}:{action}")
        }
    };
    Asked { call, body, host, agent }
}

fn response(asked: &Asked, reply: Reply) -> Result<HttpResponse, ConnectorError> {
    if asked.call.starts_with("cloudwatch") {
        return cbor::response(reply);
    }
    let query = !asked.body.starts_with('{');
    let (_, operation) = asked.call.split_once(':').unwrap();
    let (status, body) = match reply {
        Reply::Json(value) | Reply::Late(_, value) => (200, value.to_string()),
        Reply::Xml(inside) if asked.call.starts_with("ec2") => {
            (200, format!("<{operation}Response>{inside}</{operation}Response>"))
        }
        Reply::Xml(inside) => {
            let result = format!("<{operation}Result>{inside}</{operation}Result>");
            (200, format!("<{operation}Response>{result}</{operation}Response>"))
        }
        Reply::Error(status, code, message) if query => {
            let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            let ec2 = asked.call.starts_with("ec2");
            let body = if ec2 {
                format!("<Response><Errors>{error}</Errors></Response>")
            } else {
                format!("<ErrorResponse>{error}</ErrorResponse>")
            };
            (status, body)
        }
        Reply::Error(status, code, message) => {
            (status, serde_json::json!({ "__type": code, "message": message }).to_string())
        }
        Reply::Cut => return Err(broken(std::io::ErrorKind::ConnectionReset)),
        Reply::Down => return Err(broken(std::io::ErrorKind::ConnectionRefused)),
        Reply::Silence => unreachable!("never answered"),
    };
    let status = StatusCode::try_from(status).unwrap();
    Ok(HttpResponse::new(status, SdkBody::from(body)))
}

fn broken(kind: std::io::ErrorKind) -> ConnectorError {
    ConnectorError::io(std::io::Error::from(kind).into())
}

/// CloudWatch speaks CBOR. `{ "at": seconds }` stands for a time.
mod cbor {
    use super::*;

    pub(super) fn response(reply: Reply) -> Result<HttpResponse, ConnectorError> {
        let (status, value) = match reply {
            Reply::Json(value) => (200, value),
            Reply::Error(status, code, message) => {
                (status, serde_json::json!({ "__type": code, "message": message }))
            }
            Reply::Cut => return Err(broken(std::io::ErrorKind::ConnectionReset)),
            Reply::Down => return Err(broken(std::io::ErrorKind::ConnectionRefused)),
            Reply::Xml(_) | Reply::Late(..) | Reply::Silence => unreachable!("not of CloudWatch"),
        };
        let mut body = Vec::new();
        encode(&value, &mut body);
        let status = StatusCode::try_from(status).unwrap();
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
        response.headers_mut().insert("content-type", "application/cbor");
        Ok(response)
    }

    fn encode(value: &Value, to: &mut Vec<u8>) {
        match value {
            Value::Null => to.push(0xf6),
            Value::Bool(on) => to.push(if *on { 0xf5 } else { 0xf4 }),
            Value::Number(number) => {
                to.push(0xfb);
                to.extend(number.as_f64().unwrap().to_be_bytes());
            }
            Value::String(text) => {
                head(0x60, text.len(), to);
                to.extend(text.as_bytes());
            }
            Value::Array(all) => {
                head(0x80, all.len(), to);
                all.iter().for_each(|value| encode(value, to));
            }
            Value::Object(all) if all.contains_key("at") => {
                to.push(0xc1);
                encode(&all["at"], to);
            }
            Value::Object(all) => {
                head(0xa0, all.len(), to);
                for (name, value) in all {
                    encode(&Value::String(name.clone()), to);
                    encode(value, to);
                }
            }
        }
    }

    fn head(kind: u8, length: usize, to: &mut Vec<u8>) {
        to.push(kind | 26);
        to.extend(u32::try_from(length).unwrap().to_be_bytes());
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked = asked(&request);
        self.log.lock().unwrap().push(asked.clone());
        let reply = self.reply(&asked);
        match reply {
            Reply::Silence => HttpConnectorFuture::new(std::future::pending()),
            Reply::Late(time, ref value) => {
                let reply = Reply::Json(value.clone());
                let late = async move {
                    tokio::time::sleep(time).await;
                    response(&asked, reply)
                };
                HttpConnectorFuture::new(late)
            }
            reply => HttpConnectorFuture::ready(response(&asked, reply)),
        }
    }
}

impl HttpClient for Fake {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
