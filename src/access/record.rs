//! The record of changes: rows, each with the digest of the one before it.
//!
//! Rule: a row that stands is never changed. Whoever knows the last digest can tell whether any
//! row before it was changed, taken out or moved.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Digest, KnownToken, Method, Principal, TokenName};
use crate::model::{ClusterName, CutoverOrder, Mode, Order, ReleaseOrder, Role};

/// What somebody does or tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Deed {
    pub actor: String,
    pub method: Method,
    pub role: Role,
    /// The same in all rows of one request.
    pub request: String,
    pub action: String,
    /// Cluster, and what of it is meant; empty for the server as a whole.
    pub scope: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

/// How far it came.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// Permitted and about to be done; nothing later: the process ended in between.
    Begun,
    /// It stands.
    Done,
    /// It does not stand, or nobody knows.
    Failed,
    /// Not permitted.
    Refused,
}

/// What a row changes of the tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "edge")]
pub enum TokenEdge {
    Created {
        #[serde(flatten)]
        token: KnownToken,
    },
    Revoked {
        name: TokenName,
    },
}

/// A row of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Row {
    /// From 1, without holes.
    pub seq: u64,
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub deed: Deed,
    pub result: Verdict,
    /// Why it failed or was refused, or where it stands in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenEdge>,
    /// Digest of the row before.
    pub previous: Digest,
}

/// A row as it is stored: its digest is that of exactly this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub seq: u64,
    pub text: String,
    pub digest: Digest,
}

/// The last row; all zeros before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Head {
    pub seq: u64,
    pub digest: Digest,
}

/// Where the record is not what was written.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, thiserror::Error,
)]
#[error("row {seq} of the record {what}")]
pub struct Broken {
    pub seq: u64,
    pub what: String,
}

impl Row {
    /// The row as it is to be stored.
    pub fn seal(&self) -> Sealed {
        // Strings and numbers under keys of our own: there is nothing that JSON cannot hold.
        let text = json!(self).to_string();
        Sealed { seq: self.seq, digest: Digest::of(text.as_bytes()), text }
    }
}

impl Sealed {
    /// The row it holds.
    ///
    /// # Errors
    /// When its text is none; whether it was changed is not asked here.
    pub(super) fn read(&self) -> Result<Row, Broken> {
        serde_json::from_str(&self.text)
            .map_err(|error| Broken { seq: self.seq, what: format!("cannot be read: {error}") })
    }
}

/// Reads the rows after `last`, if none of them was changed, taken out or moved since `head` was
/// their last.
///
/// # Errors
/// The first row that is wrong.
pub fn verify(mut last: Head, rows: &[Sealed], head: Head) -> Result<Vec<Row>, Broken> {
    let mut read = Vec::with_capacity(rows.len());
    for sealed in rows {
        let seq = last.seq + 1;
        let broken = |what: &str| Broken { seq, what: what.to_owned() };
        if sealed.seq != seq {
            return Err(broken("is missing"));
        }
        if sealed.digest != Digest::of(sealed.text.as_bytes()) {
            return Err(broken("was changed"));
        }
        let row = sealed.read()?;
        if row.seq != seq || row.previous != last.digest {
            return Err(broken("does not follow the one before it"));
        }
        last = Head { seq, digest: sealed.digest };
        read.push(row);
    }
    if last != head {
        let what = "is not the last one that was written".to_owned();
        return Err(Broken { seq: last.seq, what });
    }
    Ok(read)
}

impl Deed {
    /// `actor` is the principal's name, or what the bearer of a shared token says.
    pub fn new(who: &Principal, actor: &str, request: &str, action: &str) -> Self {
        Self {
            actor: actor.to_owned(),
            method: who.method,
            role: who.role,
            request: request.to_owned(),
            action: action.to_owned(),
            scope: String::new(),
            reason: String::new(),
            before: None,
            after: None,
        }
    }

    /// The same deed as an order to a cluster whose stored mode is `stored`.
    #[must_use]
    pub fn of(self, order: &Order, cluster: &ClusterName, stored: Mode, reason: &str) -> Self {
        let (action, of, after) = match order {
            Order::SetMode { mode } => ("set_mode", None, Some(json!({ "mode": mode }))),
            Order::Pause => ("pause", None, None),
            Order::Resume { pool } => {
                ("resume", None, pool.as_ref().map(|pool| json!({ "pool": pool })))
            }
            Order::Handover { pools } => ("handover", None, Some(json!({ "pools": pools }))),
            Order::Handback { scope, side } => {
                ("handback", None, Some(json!({ "scope": scope, "side": side })))
            }
            Order::Cutover { cutover, steer } => {
                let (action, after) = of_cutover(steer);
                (action, Some(("cutovers", cutover.as_str())), after)
            }
            Order::Release { service, steer: ReleaseOrder::Start { image, container } } => {
                let after = json!({ "image": image, "container": container });
                ("release_start", Some(("releases", service.as_str())), Some(after))
            }
            Order::Release { service, steer: ReleaseOrder::Abort } => {
                ("release_abort", Some(("releases", service.as_str())), None)
            }
        };
        let scope = match of {
            Some((kind, name)) => format!("{cluster}/{kind}/{name}"),
            None => cluster.to_string(),
        };
        let before = matches!(order, Order::SetMode { .. }).then(|| json!({ "mode": stored }));
        let (action, reason) = (action.to_owned(), reason.to_owned());
        Self { action, scope, reason, before, after, ..self }
    }
}

/// The random value of a start is left out: it opens green to whoever knows it.
fn of_cutover(steer: &CutoverOrder) -> (&'static str, Option<Value>) {
    match steer {
        CutoverOrder::Start { routes, .. } => ("cutover_start", Some(json!({ "routes": routes }))),
        CutoverOrder::Pause => ("cutover_pause", None),
        CutoverOrder::Resume => ("cutover_resume", None),
        CutoverOrder::Promote { route, full } => {
            ("cutover_promote", Some(json!({ "route": route, "full": full })))
        }
        CutoverOrder::Rollback { route } => ("cutover_rollback", Some(json!({ "route": route }))),
        CutoverOrder::Abort => ("cutover_abort", None),
        CutoverOrder::Finalize => ("cutover_finalize", None),
        CutoverOrder::Undo => ("cutover_undo", None),
    }
}
