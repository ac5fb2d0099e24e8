//! The stop switch at the wire.

use serde_json::json;

use super::fake::{Fake, Reply};
use super::{TestClock, small};
use crate::aws::stop_switch::StopSwitch;
use crate::cloud::Cloud;
use crate::model::{Failure, Stop, StopMode};

async fn read(reply: Reply) -> Result<Option<Stop>, Failure> {
    let fake = Fake::new(small);
    fake.on("ssm:GetParameter", [reply]);
    let mut aws = fake.aws(&TestClock::new());
    let name = "/tidegate/web/stop";
    aws.stop_switch = Some(StopSwitch::new(&fake.config(), &aws.calls, name));
    let answer = aws.stop_switch().await;
    let asked = fake.asked("ssm:GetParameter");
    assert_eq!(asked.len(), 1, "it is asked once");
    assert_eq!(asked[0].json()["Name"], name);
    answer
}

#[tokio::test]
async fn a_parameter_that_is_there_stops() {
    let found = json!({ "Parameter": { "Value": "pin incident 7" } });
    let stop = Stop { mode: StopMode::Pin, because: "incident 7".to_owned() };
    assert_eq!(read(Reply::Json(found)).await, Ok(Some(stop)));
}

#[tokio::test]
async fn one_that_is_not_there_does_not() {
    let missing = Reply::Error(400, "ParameterNotFound", "no such parameter");
    assert_eq!(read(missing).await, Ok(None));
}

#[tokio::test]
async fn one_that_may_not_be_read_or_does_not_answer_is_a_failure() {
    let denied = read(Reply::Error(400, "AccessDeniedException", "no")).await;
    let action = "ssm:GetParameter".to_owned();
    assert_eq!(denied, Err(Failure::AccessDenied { action }));
    assert!(read(Reply::Cut).await.is_err());
}

#[tokio::test]
async fn without_a_name_nothing_is_asked() {
    let fake = Fake::new(small);
    let aws = fake.aws(&TestClock::new());
    assert_eq!(aws.stop_switch().await, Ok(None));
    assert!(fake.asked("ssm:GetParameter").is_empty());
}
