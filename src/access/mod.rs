//! Who may do what, and the record of who did what.
//!
//! Rule: nobody may do anything that the table of [`Permission`] does not give to their role, and
//! what was done is never rewritten: tokens are the fold of that record, with no second book.

use serde::{Deserialize, Serialize};

use crate::model::Role;

pub mod alb;
mod digest;
mod ledger;
mod permission;
mod record;
mod shared;
mod sqlite;
mod store;
mod token;
mod tokens;

pub use digest::Digest;
pub use ledger::{Ledger, LedgerError};
pub use permission::{Found, Permission, TABLE, find};
pub use record::{Broken, Deed, Head, Row, Sealed, TokenEdge, Verdict, verify};
pub use token::{Token, nonce};
pub use tokens::{KnownToken, TokenName, TokenRefused, TokenTaken, Tokens};

/// How somebody was recognised.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Method {
    /// Not at all: a reader on the server's own machine.
    Nobody,
    /// By the token given or made at start; the name is what they say.
    StartToken,
    /// By a token of their own.
    Token,
    /// By the load balancer that logged them in.
    AlbOidc,
    /// By being able to write the state directory, or the table; the name is that of the login.
    State,
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub name: String,
    pub role: Role,
    pub method: Method,
    /// A browser sends what they are recognised by of itself, even for a page of somebody else.
    pub ambient: bool,
}

#[cfg(test)]
pub(crate) mod tests;
