//! Who the load balancer says has logged in: the token in `x-amzn-oidc-data`.
//!
//! Rule: nothing in it is believed before signer, issuer, client, expiry and algorithm are those
//! expected and the signature is that of the load balancer's key. Every load balancer of a Region
//! signs with keys from one place, so the signer alone tells ours from somebody else's.
//!
//! What the token looks like: <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html>.
//! Its parts carry base64 padding, which RFC 7515 forbids; it is taken off to read them, and the
//! signature is over the text with it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Method, Principal};
use crate::config::AlbOidc;

/// Longest token that is read, in bytes; claims of users with many groups are long.
const LENGTH_MAX: usize = 16 * 1024;
/// Longest name of a person, in bytes.
const NAME_MAX: usize = 200;

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("it cannot be read")]
    Unreadable,
    #[error("its algorithm is not ES256")]
    Algorithm,
    #[error("its key id is no UUID")]
    KeyId,
    #[error("it was signed by another load balancer")]
    Signer,
    #[error("it comes from another issuer")]
    Issuer,
    #[error("it was issued for another client")]
    Client,
    #[error("it has expired")]
    Expired,
    #[error("the key it names cannot be had: {0}")]
    Key(String),
    #[error("its signature is wrong")]
    Signature,
    #[error("it names nobody")]
    Nameless,
}

/// The id of a key: a UUID, and so harmless in a URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// # Errors
    /// `KeyId` when it is no UUID.
    pub fn new(text: &str) -> Result<Self, Forged> {
        let groups: Vec<_> = text.split('-').collect();
        let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if lengths == [8, 4, 4, 4, 12] && digits {
            return Ok(Self(text.to_owned()));
        }
        Err(Forged::KeyId)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A public key of load balancers: a point of P-256, uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

/// What stands before the point in a key for P-256 (RFC 5480), in DER.
const SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const POINT_BYTES: usize = 65;

impl PublicKey {
    /// Reads the PEM that the load balancers' key server gives.
    ///
    /// # Errors
    /// `Key` when it is no key for P-256.
    pub fn from_pem(pem: &str) -> Result<Self, Forged> {
        let wrong = || Forged::Key("it is no PEM of a P-256 key".to_owned());
        let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----").ok_or_else(wrong)?;
        let body = body.strip_suffix("-----END PUBLIC KEY-----").ok_or_else(wrong)?;
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| wrong())?;
        let point = der.strip_prefix(SPKI).ok_or_else(wrong)?;
        if point.len() != POINT_BYTES {
            return Err(wrong());
        }
        Ok(Self(point.to_vec()))
    }
}

#[derive(Deserialize)]
struct Header {
    kid: String,
    signer: String,
    iss: String,
    client: String,
    exp: i64,
}

/// A token whose claims are those expected, and whose signature nobody has looked at yet.
#[derive(Debug)]
pub struct Claimed<'a> {
    pub key: KeyId,
    /// What the signature is over, as it was received.
    signed: &'a str,
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl<'a> Claimed<'a> {
    /// Reads a token, before its key is asked for.
    ///
    /// # Errors
    /// The first thing about it that is not as expected.
    pub fn read(token: &'a str, expected: &AlbOidc, now: DateTime<Utc>) -> Result<Self, Forged> {
        if token.len() > LENGTH_MAX {
            return Err(Forged::Unreadable);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Forged::Unreadable)?;
        let (header, payload) = signed.split_once('.').ok_or(Forged::Unreadable)?;
        let header: Value = json(header)?;
        if header.get("alg").and_then(Value::as_str) != Some("ES256") {
            return Err(Forged::Algorithm);
        }
        let Header { kid, signer, iss, client, exp } =
            serde_json::from_value(header).map_err(|_| Forged::Unreadable)?;
        let claims: Map<String, Value> = json(payload)?;
        let key = KeyId::new(&kid)?;
        if signer != expected.alb_arn {
            return Err(Forged::Signer);
        }
        let also = |name: &str| claims.get(name).map(|value| value.as_str().unwrap_or_default());
        if iss != expected.issuer || also("iss").is_some_and(|iss| iss != expected.issuer) {
            return Err(Forged::Issuer);
        }
        if client != expected.client_id {
            return Err(Forged::Client);
        }
        let until = claims.get("exp").map_or(exp, |also| also.as_i64().unwrap_or(0).min(exp));
        if until <= now.timestamp() {
            return Err(Forged::Expired);
        }
        Ok(Self { key, signed, signature: bytes(signature)?, claims })
    }

    /// Who it is, if `key` signed it.
    ///
    /// # Errors
    /// `Signature`, or `Nameless` where neither e-mail address nor subject can be shown.
    pub fn verify(&self, key: &PublicKey, expected: &AlbOidc) -> Result<Recognised, Forged> {
        let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED;
        ring::signature::UnparsedPublicKey::new(algorithm, &key.0)
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| Forged::Signature)?;
        let name = ["email", "sub"].iter().find_map(|claim| self.claims.get(*claim)?.as_str());
        let name = name.map(str::trim).filter(|name| {
            !name.is_empty() && name.len() <= NAME_MAX && !name.chars().any(char::is_control)
        });
        let name = name.ok_or(Forged::Nameless)?.to_owned();
        let groups = self.claims.get(&expected.claim).map(groups).unwrap_or_default();
        let role = groups.iter().filter_map(|group| expected.roles.get(*group)).max();
        Ok(match role {
            Some(role) => Recognised::Somebody(Principal {
                name,
                role: *role,
                method: Method::AlbOidc,
                ambient: true,
            }),
            None => Recognised::WithoutRole(name),
        })
    }
}

/// Somebody the load balancer has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    Somebody(Principal),
    /// None of their groups has a role.
    WithoutRole(String),
}

/// A list, or text with the groups between commas or spaces: identity providers do either.
fn groups(claim: &Value) -> Vec<&str> {
    match claim {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => {
            let text = text.trim_start_matches('[').trim_end_matches(']');
            text.split([',', ' ']).filter(|group| !group.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Forged> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| Forged::Unreadable)
}

fn bytes(part: &str) -> Result<Vec<u8>, Forged> {
    let part = part.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Forged::Unreadable)
}
