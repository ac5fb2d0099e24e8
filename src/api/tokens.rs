//! Handing tokens out and taking them back.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::access::Asker;
use super::asked::Path;
use super::audit::to_its_end;
use super::commands::read;
use super::{ApiState, Problem, problem};
use crate::access::{Deed, KnownToken, Token, TokenEdge, TokenName, Verdict};
use crate::control::{Clock, SystemClock};
use crate::model::Role;

/// A token as it is listed: never the secret.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenTold {
    name: TokenName,
    role: Role,
    /// Whether it counts now.
    good: bool,
    created: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
    revoked: Option<DateTime<Utc>>,
    /// To the minute.
    last_used: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TokensTold {
    tokens: Vec<TokenTold>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateToken {
    name: TokenName,
    role: Role,
    /// Left out: it does not expire.
    expires_in_seconds: Option<u32>,
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TokenCreated {
    /// Shown here and never again.
    token: String,
    name: TokenName,
    role: Role,
    expires: Option<DateTime<Utc>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeToken {
    reason: String,
}

/// Every token that was handed out.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", security(("token" = [])),
    responses((status = 200, body = TokensTold), (status = "4XX", response = Problem)))]
pub(super) async fn tokens(State(state): State<ApiState>) -> Json<TokensTold> {
    let now = SystemClock.now();
    let mut ledger = state.ledger().await;
    ledger.freshen(now).await;
    let mut tokens = Vec::new();
    for known in ledger.tokens().clone().all() {
        tokens.push(TokenTold {
            name: known.name.clone(),
            role: known.role,
            good: known.is_live(now),
            created: known.created,
            expires: known.expires,
            revoked: known.revoked,
            last_used: ledger.last_used(&known.name).await,
        });
    }
    Json(TokensTold { tokens })
}

/// Hand a token out; it is shown once.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = CreateToken,
    security(("token" = [])),
    responses((status = 200, body = TokenCreated), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(asker): Extension<Asker>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<TokenCreated>, Problem> {
    let CreateToken { name, role, expires_in_seconds, reason } = read(body)?;
    let now = SystemClock.now();
    let expires = expires_in_seconds.map(|seconds| now + TimeDelta::seconds(seconds.into()));
    let secret = Token::random().map_err(problem::no_randomness)?;
    let new = state.ledger().await.tokens().new_token(name, role, expires, &secret, now);
    let token = new.map_err(|taken| problem::token_taken(&taken))?;
    let KnownToken { name, .. } = token.clone();
    let mut deed = deed(&asker, "token_create", &name, &reason)?;
    deed.after = Some(json!({ "role": role, "expires": expires }));
    let edge = TokenEdge::Created { token };
    record(&state, deed, edge).await?;
    Ok(Json(TokenCreated { token: secret.reveal().to_owned(), name, role, expires }))
}

/// Take a token back; it counts for nothing from now on.
#[utoipa::path(post, path = "/api/v1/tokens/{token}/revoke", tag = "access",
    params(("token" = String, Path, description = "The token's name")),
    request_body = RevokeToken, security(("token" = [])),
    responses((status = 200, body = TokensTold), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn revoke(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Extension(asker): Extension<Asker>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<TokensTold>, Problem> {
    let RevokeToken { reason } = read(body)?;
    let known = {
        let mut ledger = state.ledger().await;
        ledger.freshen(SystemClock.now()).await;
        name.parse().ok().and_then(|name| ledger.tokens().get(&name).cloned())
    };
    let known = known.ok_or_else(|| {
        let (detail, hint) = (format!("there is no token `{name}`"), "GET /api/v1/tokens");
        Problem::new(StatusCode::NOT_FOUND, "unknown_token", detail, format!("{hint} lists them"))
    })?;
    if known.revoked.is_none() {
        let mut deed = deed(&asker, "token_revoke", &known.name, &reason)?;
        deed.before = Some(json!({ "role": known.role, "expires": known.expires }));
        let edge = TokenEdge::Revoked { name: known.name };
        record(&state, deed, edge).await?;
    }
    Ok(tokens(State(state)).await)
}

async fn record(state: &ApiState, deed: Deed, edge: TokenEdge) -> Result<(), Problem> {
    let state = state.clone();
    let written = async move { state.record(&deed, Verdict::Done, None, Some(edge)).await };
    to_its_end(written).await.map(|_| ())
}

fn deed(asker: &Asker, action: &str, name: &TokenName, reason: &str) -> Result<Deed, Problem> {
    let reason = problem::plain("reason", reason)?;
    let new = Deed::new(&asker.principal, &asker.actor, &asker.request, action);
    Ok(Deed { scope: format!("tokens/{name}"), reason, ..new })
}
