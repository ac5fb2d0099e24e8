//! Objects of S3: one is read whole by bucket and key.
//!
//! Rule: one that is missing is a failure; nobody means nothing by it.

use super::signed::{Signer, Unsigned, escaped};
use crate::model::Failure;

/// The text of an object.
pub(super) async fn get(signer: &Signer, bucket: &str, key: &str) -> Result<String, Failure> {
    let request = Unsigned {
        method: reqwest::Method::GET,
        path: format!("/{bucket}/{}", escaped(key)),
        headers: Vec::new(),
        body: String::new(),
    };
    signer.ask_signed("s3:GetObject", request).await
}
