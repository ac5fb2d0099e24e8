//! Who asks AWS, as AWS sees it.
//!
//! Rule: people are told; nothing is decided by it. It needs no permission (IAM User Guide,
//! GetCallerIdentity).

use std::time::Duration;

use super::clients::load;
use super::count::CallCounter;
use super::signed::{Signer, Unsigned};
use crate::config::ClusterConfig;
use crate::model::Failure;

/// Time for one answer.
const LIMIT: Duration = Duration::from_secs(3);

/// The ARN of the role or user that a cluster is looked after with.
///
/// # Errors
/// What the answer, or none, asks of us.
pub async fn identity(scope: &ClusterConfig) -> Result<String, Failure> {
    let refused = |message: String| Failure::Refused { message };
    let config = load(scope).await.map_err(|error| refused(error.to_string()))?;
    let signer = Signer::new(&config, &CallCounter::default(), LIMIT).map_err(refused)?;
    let request = Unsigned {
        method: reqwest::Method::POST,
        path: "/".to_owned(),
        headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
        body: "Action=GetCallerIdentity&Version=2011-06-15".to_owned(),
    };
    let text = signer.ask_signed("sts:GetCallerIdentity", request).await?;
    let arn = text.split_once("<Arn>").and_then(|(_, rest)| rest.split_once("</Arn>"));
    arn.map(|(arn, _)| arn.to_owned())
        .ok_or_else(|| Failure::Implausible { message: "an identity without an ARN".to_owned() })
}
