//! The tokens that were handed out: the fold of what the record says of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Digest, Row, Token, TokenEdge, token};
use crate::model::Role;

/// What a token is called: 1 to 64 of letters, digits, `.`, `_`, `-` and `@`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct TokenName(String);

impl TokenName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TokenName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl From<TokenName> for String {
    fn from(name: TokenName) -> Self {
        name.0
    }
}

impl TryFrom<String> for TokenName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
            return Err(format!(
                "`{name}` is no name of a token: take 1 to 64 of letters, digits, `.`, `_`, `-`, `@`"
            ));
        }
        Ok(Self(name))
    }
}

impl std::str::FromStr for TokenName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.to_owned().try_into()
    }
}

/// What is known of a token that was handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KnownToken {
    pub name: TokenName,
    pub role: Role,
    pub digest: Digest,
    pub created: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
    /// Never written with its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<DateTime<Utc>>,
}

impl KnownToken {
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|at| now < at)
    }
}

/// Why a token that was shown counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    #[error("the token is not whole: characters are missing or wrong")]
    NotWhole,
    #[error("the token is not known here")]
    Unknown,
    #[error("the token has expired")]
    Expired,
    #[error("the token was revoked")]
    Revoked,
}

/// Every name that was ever given, with its last token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens(BTreeMap<TokenName, KnownToken>);

impl Tokens {
    /// Takes up a row.
    pub fn fold(&mut self, row: &Row) {
        match &row.token {
            None => {}
            Some(TokenEdge::Created { token }) => {
                self.0.insert(token.name.clone(), token.clone());
            }
            Some(TokenEdge::Revoked { name }) => {
                if let Some(token) = self.0.get_mut(name) {
                    token.revoked = Some(row.at);
                }
            }
        }
    }

    pub fn get(&self, name: &TokenName) -> Option<&KnownToken> {
        self.0.get(name)
    }

    /// By name.
    pub fn all(&self) -> impl Iterator<Item = &KnownToken> {
        self.0.values()
    }

    /// Whose token this is. Every digest is compared, each in the same time.
    ///
    /// # Errors
    /// When it is nobody's, or no longer.
    pub fn check(&self, given: &str, now: DateTime<Utc>) -> Result<&KnownToken, TokenRefused> {
        if token::is_ours(given) && !token::is_whole(given) {
            return Err(TokenRefused::NotWhole);
        }
        let digest = Digest::of(given.as_bytes());
        let found = self.0.values().fold(None, |found, known| {
            if known.digest.matches(&digest) { Some(known) } else { found }
        });
        let known = found.ok_or(TokenRefused::Unknown)?;
        if known.revoked.is_some() {
            return Err(TokenRefused::Revoked);
        }
        if known.is_live(now) { Ok(known) } else { Err(TokenRefused::Expired) }
    }

    /// Whether the name can be given.
    ///
    /// # Errors
    /// While a token of this name is still good.
    pub(super) fn must_be_free(
        &self,
        name: &TokenName,
        now: DateTime<Utc>,
    ) -> Result<(), TokenTaken> {
        match self.get(name).is_some_and(|known| known.is_live(now)) {
            true => Err(TokenTaken(name.clone())),
            false => Ok(()),
        }
    }

    /// What is to be kept of a new token.
    ///
    /// # Errors
    /// While a token of this name is still good.
    pub fn new_token(
        &self,
        name: TokenName,
        role: Role,
        expires: Option<DateTime<Utc>>,
        secret: &Token,
        now: DateTime<Utc>,
    ) -> Result<KnownToken, TokenTaken> {
        self.must_be_free(&name, now)?;
        let digest = secret.digest();
        Ok(KnownToken { name, role, digest, created: now, expires, revoked: None })
    }
}

/// A token of this name is still good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is a token of the name `{0}` already")]
pub struct TokenTaken(TokenName);
