//! The stop switch at the wire.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

use super::fake::Fake;
use super::{TestClock, small};
use crate::aws::stop_switch::StopSwitch;
use crate::cloud::{Call, CallResult, Cloud};
use crate::model::{Failure, Stop, StopMode};

const NAME: &str = "/tidegate/web/stop";

/// An endpoint that gives this answer, if there is one, and what it was asked.
async fn endpoint(answer: Option<(u16, Value)>) -> (String, Arc<Mutex<Vec<(HeaderMap, Value)>>>) {
    let asked: Arc<Mutex<Vec<_>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let Some((status, body)) = answer else { return (address, asked) };
    let seen = asked.clone();
    let answer = async move |headers: HeaderMap, text: String| {
        seen.lock().unwrap().push((headers, serde_json::from_str(&text).unwrap()));
        (StatusCode::from_u16(status).unwrap(), body.to_string())
    };
    let router = Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

async fn read(answer: Option<(u16, Value)>) -> Result<Option<Stop>, Failure> {
    let refuses = answer.is_none();
    let (endpoint, asked) = endpoint(answer).await;
    let fake = Fake::new(small);
    let mut aws = fake.aws(&TestClock::new());
    let config = fake.config().into_builder().endpoint_url(endpoint).build();
    aws.stop_switch = Some(StopSwitch::new(&config, &aws.calls, NAME).unwrap());
    let answer = aws.stop_switch().await;
    if !refuses {
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "it is asked once");
        let (headers, body) = &asked[0];
        assert_eq!(body["Name"], NAME);
        assert_eq!(headers["x-amz-target"], "AmazonSSM.GetParameter");
        let signed = headers["authorization"].to_str().unwrap();
        assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signed}");
        assert!(signed.contains("/eu-west-1/ssm/aws4_request"), "{signed}");
        assert!(signed.contains("content-type;host;x-amz-date;x-amz-target"), "{signed}");
    }
    let counted = aws.calls();
    let (service, operation) = ("SSM".to_owned(), "GetParameter".to_owned());
    let result = match answer {
        Ok(Some(_)) => CallResult::Ok,
        _ if refuses => CallResult::NoAnswer,
        _ => CallResult::Error,
    };
    assert_eq!(counted[&Call { service, operation, result }], 1, "{counted:?}");
    answer
}

fn error(code: &str) -> Option<(u16, Value)> {
    Some((400, json!({ "__type": code, "message": "no" })))
}

#[tokio::test]
async fn a_parameter_that_is_there_stops() {
    let found = json!({ "Parameter": { "Value": "pin incident 7" } });
    let stop = Stop { mode: StopMode::Pin, because: "incident 7".to_owned() };
    assert_eq!(read(Some((200, found))).await, Ok(Some(stop)));
}

#[tokio::test]
async fn one_that_is_not_there_does_not() {
    assert_eq!(read(error("ParameterNotFound")).await, Ok(None));
}

#[tokio::test]
async fn one_that_may_not_be_read_or_does_not_answer_is_a_failure() {
    let action = "ssm:GetParameter".to_owned();
    assert_eq!(read(error("AccessDeniedException")).await, Err(Failure::AccessDenied { action }));
    assert!(matches!(read(None).await, Err(Failure::Unavailable { .. })));
}

#[tokio::test]
async fn without_a_name_nothing_is_asked() {
    let fake = Fake::new(small);
    let aws = fake.aws(&TestClock::new());
    assert_eq!(aws.stop_switch().await, Ok(None));
    assert!(aws.calls().is_empty());
}
