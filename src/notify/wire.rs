//! One notice to one receiver: what is sent, and what the answer means.
//!
//! Rule: no redirect is followed, no proxy asked, and no address that is a secret stands in an
//! error.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use reqwest::StatusCode;
use ring::hmac;

use super::address::{self, Judged, Refused};
use super::events::Notice;
use super::secret::{self, Unreadable};
use crate::config::notify::Receiver;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest subject (Publish, SNS API reference).
const SUBJECT_MAX: usize = 100;

/// Why a notice did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may arrive later.
    #[error("{0}")]
    Again(String),
    /// It will not, as things stand.
    #[error("{0}")]
    Never(String),
}

impl From<Unreadable> for SendError {
    /// A secret that is being replaced is missing for a moment.
    fn from(error: Unreadable) -> Self {
        Self::Again(error.to_string())
    }
}

impl From<Refused> for SendError {
    fn from(error: Refused) -> Self {
        Self::Never(format!("the address is refused: {error}"))
    }
}

/// A message to a topic of SNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its ARN.
    pub topic: String,
    /// Up to 100 characters of ASCII, which begin with a letter.
    pub subject: String,
    pub message: String,
}

/// Publishes to topics.
pub type Publish = Arc<dyn Fn(Post) -> BoxFuture<'static, Result<(), SendError>> + Send + Sync>;

/// Sends notices.
#[derive(Clone)]
pub struct Wire {
    http: reqwest::Client,
    /// `None`: there is no AWS.
    topics: Option<Publish>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("http", &self.http).finish_non_exhaustive()
    }
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) url: reqwest::Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Wire {
    /// # Errors
    /// When the operating system's certificates cannot be used.
    pub fn new() -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Judged)
            .timeout(PATIENCE)
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .build();
        let topics = None;
        client.map(|http| Self { http, topics }).map_err(|error| error.to_string())
    }

    /// The same, with a way to topics.
    #[must_use]
    pub fn with_topics(self, publish: Publish) -> Self {
        Self { topics: Some(publish), ..self }
    }

    /// Sends it once. `now` is what the receiver compares its own clock with.
    ///
    /// # Errors
    /// Whether it is worth trying again, and why it did not arrive.
    pub async fn send(
        &self,
        to: &Receiver,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> Result<(), SendError> {
        if let Receiver::Sns { topic } = to {
            let none = || SendError::Never("this build has no AWS SDK".to_owned());
            return self.topics.as_ref().ok_or_else(none)?(post(topic, notice)).await;
        }
        let Letter { url, headers, body } = letter(to, notice, now)?;
        let mut request = self.http.post(url).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| {
            let error = error.without_url();
            let why = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
            SendError::Again(why)
        })?;
        judge(answer.status())
    }
}

/// What a webhook gets, under a line for people.
pub(super) fn post(topic: &str, notice: &Notice) -> Post {
    let line = notice.line();
    let plain = line.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
    Post {
        topic: topic.to_owned(),
        subject: plain.take(SUBJECT_MAX).collect(),
        message: serde_json::json!(notice).to_string(),
    }
}

/// # Errors
/// When its address or secret cannot be used; a topic gets none.
pub(super) fn letter(
    to: &Receiver,
    notice: &Notice,
    now: DateTime<Utc>,
) -> Result<Letter, SendError> {
    let json = ("content-type", "application/json".to_owned());
    match to {
        Receiver::Webhook { url, secret } => {
            let url = address::check(url)?;
            let body = serde_json::json!(notice).to_string();
            let signature = sign(&secret::read(secret)?, now, &body);
            let headers = vec![
                json,
                ("x-tidegate-delivery", notice.id.clone()),
                ("x-tidegate-timestamp", now.timestamp().to_string()),
                ("x-tidegate-signature", signature),
            ];
            Ok(Letter { url, headers, body })
        }
        Receiver::Sns { .. } => Err(SendError::Never("a topic gets no letter".to_owned())),
        Receiver::Slack { url } => {
            let url = address::check(&secret::read(url)?)?;
            let body = serde_json::json!({ "text": escaped(&notice.line()) }).to_string();
            Ok(Letter { url, headers: vec![json], body })
        }
    }
}

/// `v1=` and HMAC-SHA256 in hexadecimal digits, over the timestamp, a full stop and the body.
fn sign(secret: &str, now: DateTime<Utc>, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{}.{body}", now.timestamp()).as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={digits}")
}

/// Slack reads these three as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn judge(status: StatusCode) -> Result<(), SendError> {
    let answer = format!("the receiver answered {status}");
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(SendError::Again(answer))
        }
        _ if status.is_server_error() => Err(SendError::Again(answer)),
        _ => Err(SendError::Never(answer)),
    }
}
