//! Topics of SNS: a message is published to one, once.
//!
//! Rule: the topic's own Region is asked, with the process's own credentials.

use std::time::Duration;

use super::clients::load_own;
use super::count::CallCounter;
use super::signed::{Signer, Unsigned, escaped};
use crate::model::Failure;

/// Time for one answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Publishes to a topic by its ARN. `subject` is up to 100 characters of plain text.
///
/// # Errors
/// What the answer, or none, asks of us.
pub async fn publish(topic: &str, subject: &str, message: &str) -> Result<(), Failure> {
    let refused = |message: String| Failure::Refused { message };
    let config = load_own(topic, topic.split(':').nth(3)).await;
    let config = config.map_err(|error| refused(error.to_string()))?;
    let signer = Signer::new(&config, &CallCounter::default(), LIMIT).map_err(refused)?;
    let form = [
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("TopicArn", topic),
        ("Subject", subject),
        ("Message", message),
    ];
    let request = Unsigned {
        method: reqwest::Method::POST,
        path: "/".to_owned(),
        headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
        body: form.map(|(name, value)| format!("{name}={}", escaped(value))).join("&"),
    };
    signer.ask_signed("sns:Publish", request).await.map(|_| ())
}
