//! Errors as problem details (RFC 9457), each with a stable code and what to do about it.

use axum::Json;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{ToResponse, ToSchema};

use crate::access::TokenTaken;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct Problem {
    /// `urn:tidegate:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    #[schema(value_type = String)]
    pub title: Box<str>,
    pub status: u16,
    pub detail: String,
    /// Stable; programs decide by it.
    pub code: String,
    /// What to do next.
    pub hint: String,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("urn:tidegate:problem:{code}").into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            hint: hint.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let kind = header::HeaderValue::from_static("application/problem+json");
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// Longest reason and actor's name, in bytes.
const TEXT_MAX: usize = 500;

/// Text that can be shown in a log line: something, not too long, without control characters.
pub(super) fn plain(name: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_MAX || text.chars().any(char::is_control) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_text",
            format!("`{name}` must be 1 to {TEXT_MAX} bytes of text without control characters"),
            "say in a few words who you are and why",
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn no_randomness(error: String) -> Problem {
    let hint = "ask again in some seconds";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_randomness", error, hint)
}

pub(super) fn token_taken(taken: &TokenTaken) -> Problem {
    let hint = "choose another name, or revoke that token first";
    Problem::new(StatusCode::CONFLICT, "token_taken", taken.to_string(), hint)
}

pub(super) fn no_such_route(path: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        format!("there is nothing at {path}"),
        "GET /api/v1/openapi.json lists what there is",
    )
}

pub(super) fn no_such_method(method: &Method, path: &str) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        format!("{path} does not take {method}"),
        "GET /api/v1/openapi.json lists what there is",
    )
}
