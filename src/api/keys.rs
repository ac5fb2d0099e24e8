//! The public keys of load balancers, fetched once each.
//!
//! Rule: an id that is no UUID never reaches a URL. One fetch at a time, each short, small and
//! without redirects, and few keys are kept: whoever reaches the server directly can make up ids.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use crate::access::alb::{Forged, KeyId, PublicKey};

/// Longest wait for a key.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer, in bytes; a key has some 200.
const ANSWER_MAX: usize = 4 * 1024;
/// Keys, and ids without one, that are remembered.
const REMEMBERED_MAX: usize = 64;
/// How long an id without a key is not asked for again.
const MISSING_FOR: TimeDelta = TimeDelta::minutes(1);

/// Keys by id, from one place.
#[derive(Debug)]
pub struct Keys {
    base: String,
    http: reqwest::Client,
    known: Mutex<BTreeMap<KeyId, Known>>,
}

#[derive(Clone, Debug)]
enum Known {
    Key(PublicKey),
    Missing { why: String, until: DateTime<Utc> },
}

impl Keys {
    /// `base` and a key's id, with a `/` between them, are where the key is.
    pub fn new(base: impl Into<String>, http: reqwest::Client) -> Self {
        Self { base: base.into(), http, known: Mutex::default() }
    }

    /// A client that asks nobody but who it was told to, and over TLS only.
    ///
    /// # Errors
    /// When the operating system's certificates cannot be used.
    pub fn client() -> Result<reqwest::Client, String> {
        let client = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build();
        client.map_err(|error| error.to_string())
    }

    /// The key of this id.
    ///
    /// # Errors
    /// `Key` when there is none, or it cannot be fetched just now.
    pub(super) async fn get(&self, id: &KeyId, now: DateTime<Utc>) -> Result<PublicKey, Forged> {
        let mut known = self.known.lock().await;
        match known.get(id) {
            Some(Known::Key(key)) => return Ok(key.clone()),
            Some(Known::Missing { why, until }) if now < *until => {
                return Err(Forged::Key(why.clone()));
            }
            _ => {}
        }
        if known.len() >= REMEMBERED_MAX {
            known
                .retain(|_, known| !matches!(known, Known::Missing { until, .. } if *until <= now));
        }
        if known.len() >= REMEMBERED_MAX {
            return Err(Forged::Key("too many other keys were asked for lately".to_owned()));
        }
        let fetched = self.fetch(id).await;
        let remembered = match &fetched {
            Ok(key) => Known::Key(key.clone()),
            Err(error) => Known::Missing { why: error.clone(), until: now + MISSING_FOR },
        };
        known.insert(id.clone(), remembered);
        fetched.map_err(Forged::Key)
    }

    async fn fetch(&self, id: &KeyId) -> Result<PublicKey, String> {
        let url = format!("{}/{}", self.base, id.as_str());
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self.http.get(url).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("the key server answered {}", response.status()));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            answer.extend_from_slice(&chunk);
            if answer.len() > ANSWER_MAX {
                return Err("the key server's answer is too long for a key".to_owned());
            }
        }
        let pem = String::from_utf8_lossy(&answer);
        PublicKey::from_pem(&pem).map_err(|error| error.to_string())
    }
}
