//! The record of changes: what is written to it for each request, and reading it.
//!
//! Rule: a change begins when its row is on disk. Only what stops something goes on without.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use tokio::sync::MutexGuard;
use utoipa::{IntoParams, ToSchema};

use super::access::Asker;
use super::asked::Query;
use super::recognise::no_token;
use super::{ApiState, Problem, problem};
use crate::access::{
    Broken, Deed, Head, Ledger, LedgerError, Method, Permission, Row, TokenEdge, Verdict,
};
use crate::control::{Clock, SystemClock};
use crate::model::Role;

/// Rows of one answer.
const ROWS_MAX: usize = 1000;
/// Time in which the same refusal is recorded once, and at most [`REFUSALS_MAX`] of one actor: a
/// program that is wrong asks again and again.
const SAME_REFUSAL: TimeDelta = TimeDelta::minutes(1);
const REFUSALS_MAX: usize = 10;

#[derive(Serialize, ToSchema)]
pub(super) struct Audit {
    /// Newest first.
    rows: Vec<Row>,
    head: Head,
}

/// Whether the record is what was written.
#[derive(Serialize, ToSchema)]
pub(super) struct Verified {
    intact: bool,
    /// The last row. Whoever noted it elsewhere can tell whether later rows were cut off.
    head: Head,
    broken: Option<Broken>,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct Page {
    /// How many, at most; 50 unless told.
    limit: Option<usize>,
    /// Only rows before this one.
    before: Option<u64>,
}

/// Who did what, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "access", params(Page),
    security(("token" = [])),
    responses((status = 200, body = Audit), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn audit(
    State(state): State<ApiState>,
    Query(Page { limit, before }): Query<Page>,
) -> Result<Json<Audit>, Problem> {
    let mut ledger = state.ledger().await;
    let rows = ledger.rows(before, limit.unwrap_or(50).min(ROWS_MAX)).await.map_err(unusable)?;
    Ok(Json(Audit { rows, head: ledger.head().await.map_err(unusable)? }))
}

/// Reads all of the record and checks each row.
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "access", security(("token" = [])),
    responses((status = 200, body = Verified), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn verify(State(state): State<ApiState>) -> Result<Json<Verified>, Problem> {
    let mut ledger = state.ledger().await;
    let broken = ledger.verify().await.map_err(unusable)?.err();
    let head = ledger.head().await.unwrap_or_default();
    Ok(Json(Verified { intact: broken.is_none(), head, broken }))
}

impl ApiState {
    /// Held for one row at a time, the length of one `fsync` or of one write to the table.
    pub(super) async fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.access.ledger.lock().await
    }

    /// Whether the asker's role is enough; that it is not is recorded.
    pub(super) async fn check_role(
        &self,
        asker: &Asker,
        needed: Role,
        action: &str,
    ) -> Result<(), Problem> {
        let principal = &asker.principal;
        if principal.role >= needed {
            return Ok(());
        }
        if principal.method == Method::Nobody {
            return Err(no_token());
        }
        let detail = format!("needs {needed}");
        let deed = Deed::new(principal, &asker.actor, &asker.request, action);
        let state = self.clone();
        to_its_end(async move { state.refused(&deed, detail).await }).await;
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not_permitted",
            format!("`{}` is {} here, and this needs {needed}", principal.name, principal.role),
            "ask somebody who has that role; an admin can give it",
        ))
    }

    async fn refused(&self, deed: &Deed, detail: String) {
        let now = SystemClock.now();
        let mut ledger = self.ledger().await;
        let lately = ledger.rows(None, 5 * REFUSALS_MAX).await.unwrap_or_default();
        let same: Vec<_> = lately
            .iter()
            .filter(|row| now - row.at < SAME_REFUSAL && row.result == Verdict::Refused)
            .filter(|row| row.deed.actor == deed.actor)
            .collect();
        let again = same.iter().any(|row| row.deed.action == deed.action);
        if again || same.len() >= REFUSALS_MAX {
            return;
        }
        let written = ledger.append(deed, Verdict::Refused, Some(detail), None, now).await;
        if let Err(error) = written {
            tracing::error!(%error, actor = deed.actor, action = deed.action, "not recorded");
        }
    }

    /// Before a change.
    pub(super) async fn begin(&self, deed: &Deed, needs: Permission) -> Result<(), Problem> {
        match self.record(deed, Verdict::Begun, None, None).await {
            Err(problem) if needs.waits_for_the_record() => Err(problem),
            _ => Ok(()),
        }
    }

    /// After it; what is done stands, recorded or not.
    pub(super) async fn end(&self, deed: &Deed, result: Verdict, detail: String) {
        let _logged = self.record(deed, result, Some(detail), None).await;
    }

    pub(super) async fn record(
        &self,
        deed: &Deed,
        result: Verdict,
        detail: Option<String>,
        token: Option<TokenEdge>,
    ) -> Result<Row, Problem> {
        let mut ledger = self.ledger().await;
        let written = ledger.append(deed, result, detail, token, SystemClock.now()).await;
        written.map_err(|error| {
            let Deed { actor, action, scope, .. } = deed;
            tracing::error!(%error, actor, action, scope, %result, "not recorded");
            unusable(error)
        })
    }
}

/// Does the work to its end, even where whoever asked for it hangs up: their handler is dropped
/// then, wherever it waits.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // With the whole runtime, and so with this.
            Err(_) => std::future::pending().await,
        },
    }
}

fn unusable(error: LedgerError) -> Problem {
    if let LedgerError::Taken(taken) = error {
        return problem::token_taken(&taken);
    }
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "no_record",
        error.to_string(),
        "check space and permissions of the state directory, or whether the table answers; pause, \
         a lower mode, abort and rollback need no record",
    )
}
