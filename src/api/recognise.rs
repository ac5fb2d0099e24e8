//! Whom a request comes from.
//!
//! Rule: what is shown must be good. A wrong token is refused, never passed over for another way.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::keys::Keys;
use super::{ApiState, Problem};
use crate::access::alb::{Claimed, Forged, Recognised};
use crate::access::{Method, Principal};
use crate::config::AlbOidc;
use crate::control::{Clock, SystemClock};
use crate::model::Role;

/// Where a load balancer says who has logged in.
const IDENTITY: &str = "x-amzn-oidc-data";

/// The load balancer that is believed.
#[derive(Clone, Debug)]
pub struct Alb {
    config: AlbOidc,
    keys: Arc<Keys>,
}

impl Alb {
    pub fn new(config: AlbOidc, keys: Keys) -> Self {
        Self { config, keys: Arc::new(keys) }
    }

    async fn recognise(&self, token: &str, now: DateTime<Utc>) -> Result<Recognised, Forged> {
        let claimed = Claimed::read(token, &self.config, now)?;
        let key = self.keys.get(&claimed.key, now).await?;
        claimed.verify(&key, &self.config)
    }
}

impl ApiState {
    pub(super) async fn recognise(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let now = SystemClock.now();
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let (token, ambient) = token_of(value.to_str().unwrap_or_default());
            return self.by_token(&token, ambient, now).await;
        }
        match (&self.access.alb, headers.get(IDENTITY)) {
            (Some(alb), Some(token)) => {
                by_alb(alb.recognise(token.to_str().unwrap_or_default(), now).await)
            }
            _ if self.access.open_to_readers => Ok(Principal {
                name: "nobody".to_owned(),
                role: Role::Viewer,
                method: Method::Nobody,
                ambient: true,
            }),
            _ => Err(no_token()),
        }
    }

    async fn by_token(
        &self,
        given: &str,
        ambient: bool,
        now: DateTime<Utc>,
    ) -> Result<Principal, Problem> {
        if self.access.token.matches(given) {
            let (name, method) = ("token".to_owned(), Method::StartToken);
            return Ok(Principal { name, role: Role::Admin, method, ambient });
        }
        match self.ledger().await.check(given, now).await {
            Ok(known) => Ok(Principal {
                name: known.name.to_string(),
                role: known.role,
                method: Method::Token,
                ambient,
            }),
            Err(refused) => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "bad_token",
                refused.to_string(),
                "send `Authorization: Bearer TOKEN` with the server's token or one that \
                 `tidegate token list` shows as good",
            )),
        }
    }
}

/// The token of `Bearer TOKEN`, or of `Basic` with any user and the token as password, which is
/// what browsers remember and send by themselves.
fn token_of(value: &str) -> (String, bool) {
    if let Some(token) = value.strip_prefix("Bearer ") {
        return (token.trim().to_owned(), false);
    }
    let basic = value.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text.trim()).ok());
    let pair = basic.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    (pair.split_once(':').map_or("", |(_user, token)| token).to_owned(), true)
}

fn by_alb(recognised: Result<Recognised, Forged>) -> Result<Principal, Problem> {
    match recognised {
        Ok(Recognised::Somebody(principal)) => Ok(principal),
        Ok(Recognised::WithoutRole(name)) => {
            tracing::warn!(name, "somebody without a role was refused");
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "no_role",
                format!("none of the groups of `{name}` has a role here"),
                "an administrator gives roles to groups under `access.alb_oidc.roles`",
            ))
        }
        Err(forged) => {
            tracing::warn!(%forged, "an identity was refused");
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "bad_identity",
                format!("the load balancer's word on who you are is not believed: {forged}"),
                "log in again; if it stays, compare `access.alb_oidc` with the load balancer",
            ))
        }
    }
}

pub(super) fn no_token() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "no_token",
        "this needs a token",
        "send `Authorization: Bearer TOKEN`: the one printed when the server started, the \
         configured one, or one of `tidegate token create`",
    )
}
