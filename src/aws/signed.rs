//! Requests that are signed here (Signature Version 4): for services of which one thing is asked,
//! and that need no client of their own for it.
//!
//! Rule: each is sent once, follows no redirect, and ends within a few seconds. Region, endpoint
//! and credentials are those of the SDK's configuration.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_types::error::display::DisplayErrorContext;
use tokio::sync::Mutex;

use super::count::CallCounter;
use super::failure;
use crate::cloud::{Call, CallResult};
use crate::control::{Clock, SystemClock};
use crate::model::Failure;

/// Credentials are taken anew when they hold for less than this.
const HELD_AT_LEAST: Duration = Duration::from_secs(60);
/// Says who asks, in CloudTrail too.
const AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"), " app/tidegate");

/// What is asked, before it is signed.
pub(super) struct Unsigned {
    pub(super) method: reqwest::Method,
    /// Escaped; begins with a slash.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// Signs and sends.
pub(super) struct Signer {
    http: reqwest::Client,
    config: SdkConfig,
    counter: CallCounter,
    limit: Duration,
    held: Mutex<Option<Credentials>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// `limit` is the time for one answer, that for credentials included.
    ///
    /// # Errors
    /// When the operating system's certificates cannot be used.
    pub(super) fn new(
        config: &SdkConfig,
        counter: &CallCounter,
        limit: Duration,
    ) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // As the SDK's clients: they know no proxy either.
            .no_proxy()
            .user_agent(AGENT)
            .build()
            .map_err(|error| error.to_string())?;
        let (config, counter) = (config.clone(), counter.clone());
        Ok(Self { http, config, counter, limit, held: Mutex::default() })
    }

    /// Asks once, and gives the body of a good answer. `call` is the permission it needs.
    ///
    /// # Errors
    /// What the answer, or none, asks of us.
    pub(super) async fn ask_signed(
        &self,
        call: &'static str,
        unsigned: Unsigned,
    ) -> Result<String, Failure> {
        let (service, operation) = call.split_once(':').unwrap_or((call, ""));
        let asked = tokio::time::timeout(self.limit, self.ask(call, service, unsigned)).await;
        let asked = asked.unwrap_or(Err(Failure::Timeout));
        let result = match &asked {
            Ok(_) => CallResult::Ok,
            Err(Failure::Timeout | Failure::Unavailable { .. }) => CallResult::NoAnswer,
            Err(_) => CallResult::Error,
        };
        let (service, operation) = (service.to_uppercase(), operation.to_owned());
        self.counter.count(Call { service, operation, result });
        asked
    }

    async fn ask(&self, call: &str, service: &str, asked: Unsigned) -> Result<String, Failure> {
        let Unsigned { method, path, headers, body } = asked;
        let url = self.endpoint(service) + &path;
        let refused = |error: &dyn fmt::Display| Failure::Refused { message: error.to_string() };
        let credentials = self.credentials().await?;
        let region = self.config.region().map(ToString::to_string).unwrap_or_default();
        let mut settings = SigningSettings::default();
        if service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let identity = credentials.into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(service)
            .time(SystemTime::from(SystemClock.now()))
            .settings(settings)
            .build()
            .map_err(|error| refused(&error))?
            .into();
        let named = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method.as_str(), url.as_str(), named, signable);
        let signable = signable.map_err(|error| refused(&error))?;
        let signed = sign(signable, &parameters).map_err(|error| refused(&error))?;
        let mut request = self.http.request(method, &url);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        for (name, value) in signed.output().headers() {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.map_err(|error| no_answer(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| no_answer(&error))?;
        if status.is_success() {
            return Ok(text);
        }
        let (code, message) = said(&text);
        Err(failure::of_code(call, &code, &message, status.as_u16()))
    }

    fn endpoint(&self, service: &str) -> String {
        if let Some(endpoint) = self.config.endpoint_url() {
            return endpoint.trim_end_matches('/').to_owned();
        }
        let region = self.config.region().map(AsRef::as_ref).unwrap_or_default();
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        format!("https://{service}.{region}.amazonaws.com{china}")
    }

    async fn credentials(&self) -> Result<Credentials, Failure> {
        let mut held = self.held.lock().await;
        let until = SystemTime::from(SystemClock.now()) + HELD_AT_LEAST;
        let fresh = |known: &&Credentials| known.expiry().is_some_and(|end| end > until);
        if let Some(known) = held.as_ref().filter(fresh) {
            return Ok(known.clone());
        }
        let none = || Failure::Credentials { message: "there are none".to_owned() };
        let provider = self.config.credentials_provider().ok_or_else(none)?;
        let found = provider.provide_credentials().await.map_err(|error| Failure::Credentials {
            message: DisplayErrorContext(&error).to_string(),
        })?;
        *held = Some(found.clone());
        Ok(found)
    }
}

/// Everything but unreserved characters and slashes as its bytes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

fn no_answer(error: &reqwest::Error) -> Failure {
    match error.is_timeout() {
        true => Failure::Timeout,
        false => Failure::Unavailable { message: DisplayErrorContext(error).to_string() },
    }
}

/// Code and message of an error: JSON has them in `__type` and `message`, XML in `Code` and
/// `Message`.
fn said(text: &str) -> (String, String) {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        let field = |name: &str| json[name].as_str();
        let code = field("__type").unwrap_or_default();
        let message = field("message").or(field("Message")).unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        return (code.to_owned(), message.to_owned());
    }
    let inside = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside.to_owned())
    };
    (inside("Code").unwrap_or_default(), inside("Message").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_escaped_but_for_its_slashes() {
        assert_eq!(escaped("a/b c+ü.yaml"), "a/b%20c%2B%C3%BC.yaml");
    }

    #[test]
    fn an_error_is_read_in_either_form() {
        let json = r#"{"__type":"com.amazonaws.ssm#ParameterNotFound","message":"none"}"#;
        assert_eq!(said(json), ("ParameterNotFound".to_owned(), "none".to_owned()));
        let xml = "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>";
        assert_eq!(said(xml), ("NoSuchKey".to_owned(), "gone".to_owned()));
        assert_eq!(said("<html>"), (String::new(), String::new()));
    }
}
