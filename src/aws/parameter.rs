//! Parameters of SSM: one is read by its name.
//!
//! Rule: a parameter that is not there is no failure; what that means, its reader knows.

use serde_json::json;

use super::signed::{Signer, Unsigned};
use crate::model::Failure;

/// The value of a parameter; `None`: there is none of this name. A secret one needs `kms:Decrypt`
/// where it is to be decrypted, and is unreadable text where not.
pub(super) async fn get(
    signer: &Signer,
    name: &str,
    decrypted: bool,
) -> Result<Option<String>, Failure> {
    let request = Unsigned {
        method: reqwest::Method::POST,
        path: "/".to_owned(),
        headers: vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", "AmazonSSM.GetParameter".to_owned()),
        ],
        body: json!({ "Name": name, "WithDecryption": decrypted }).to_string(),
    };
    let text = match signer.ask_signed("ssm:GetParameter", request).await {
        Ok(text) => text,
        Err(Failure::NotFound { .. }) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let answer: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Failure::Implausible { message: error.to_string() })?;
    let none = || Failure::Implausible { message: "a parameter without a value".to_owned() };
    Ok(Some(answer["Parameter"]["Value"].as_str().ok_or_else(none)?.to_owned()))
}
