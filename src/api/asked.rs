//! What a request names in its path and query.
//!
//! Rule: what cannot be read is refused as every other thing is, by a problem.

use axum::extract::FromRequestParts;
use axum::extract::rejection::{PathRejection, QueryRejection};

use super::Problem;

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(super) struct Path<T>(pub(super) T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(super) struct Query<T>(pub(super) T);

const HINT: &str = "GET /api/v1/openapi.json describes path and query";

impl From<PathRejection> for Problem {
    fn from(refused: PathRejection) -> Self {
        Self::new(refused.status(), "bad_path", refused.body_text(), HINT)
    }
}

impl From<QueryRejection> for Problem {
    fn from(refused: QueryRejection) -> Self {
        Self::new(refused.status(), "bad_query", refused.body_text(), HINT)
    }
}
