//! Who did what: the last rows of the record of changes.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::Mutex;

use super::{page, view};
use crate::access::{Ledger, Row};

pub(super) type Record = Arc<Mutex<Ledger>>;

/// Rows shown; `tidegate audit list` shows more.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    rows: Vec<Row>,
    /// Why no rows are shown.
    trouble: Option<String>,
}

impl Audit {
    /// What was ordered, and what was there before, as far as the row knows.
    fn change(row: &Row) -> String {
        match (&row.deed.before, &row.deed.after) {
            (Some(before), Some(after)) => format!("{before} → {after}"),
            (None, Some(after)) => after.to_string(),
            (Some(before), None) => before.to_string(),
            (None, None) => String::new(),
        }
    }
}

pub(super) async fn audit(State(record): State<Record>) -> Response {
    match record.lock().await.rows(None, ROWS).await {
        Ok(rows) => page(StatusCode::OK, &Audit { rows, trouble: None }),
        Err(error) => {
            let audit = Audit { rows: Vec::new(), trouble: Some(error.to_string()) };
            page(StatusCode::SERVICE_UNAVAILABLE, &audit)
        }
    }
}
