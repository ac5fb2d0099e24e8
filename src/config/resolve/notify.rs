//! Who is told.

use std::collections::BTreeMap;

use super::{Field, given, required};
use crate::config::error::Problems;
use crate::config::notify::{Receiver, Secret, Target};
use crate::config::raw::{RawConfig, RawSecret, RawTarget};
use crate::config::read::Written;

/// The receivers of notifications; meaningless if a problem was noted.
pub(in crate::config) fn targets(raw: &RawConfig, problems: &mut Problems) -> Vec<Target> {
    let written = given(&raw.notify).into_iter().flatten();
    let targets = written.filter_map(|written| Some((written, target(written, problems)?)));
    let targets: Vec<_> = targets.collect();
    let mut names = BTreeMap::new();
    for (written, target) in &targets {
        if let Some(first) = names.insert(&target.name, written.place.line) {
            let message = format!("target {} is listed already, in line {first}", target.name);
            written.refuse(message, "give each a `name:` of its own", problems);
        }
    }
    targets.into_iter().map(|(_, target)| target).collect()
}

fn target(written: &Written<RawTarget>, problems: &mut Problems) -> Option<Target> {
    let raw = written.value.as_ref()?;
    let to = match (&raw.webhook, &raw.slack, &raw.sns) {
        (Some(webhook), None, None) => {
            let here = (webhook.place, webhook.path.as_str());
            let raw = webhook.value.as_ref()?;
            let url = required(&raw.url, here, "url", "add `url: https://HOST/PATH`", problems);
            let remedy = "add `secret: { env: NAME }` or `secret: { file: PATH }`; the receiver \
                checks the signature with the same";
            required(&raw.secret, here, "secret", remedy, problems);
            let secret = secret(&raw.secret, problems);
            Receiver::Webhook { url: url?.0.clone(), secret: secret? }
        }
        (None, Some(slack), None) => {
            let here = (slack.place, slack.path.as_str());
            let raw = slack.value.as_ref()?;
            let remedy = "add `url: { env: NAME }` or `url: { file: PATH }`";
            required(&raw.url, here, "url", remedy, problems);
            Receiver::Slack { url: secret(&raw.url, problems)? }
        }
        (None, None, Some(_)) => Receiver::Sns { topic: given(&raw.sns)?.0.clone() },
        (None, None, None) => {
            let remedy = "add `webhook:`, `slack:` or `sns:`";
            written.refuse("says not how to reach it", remedy, problems);
            return None;
        }
        _ => {
            written.refuse("is reached in more than one way", "make an item of each", problems);
            return None;
        }
    };
    let name = given(&raw.name).map_or_else(|| to.kind().to_owned(), |name| name.0.clone());
    Some(Target { name, to })
}

fn secret(field: &Field<RawSecret>, problems: &mut Problems) -> Option<Secret> {
    let written = field.as_ref()?;
    let raw = written.value.as_ref()?;
    match (&raw.env, &raw.file) {
        (Some(_), None) => Some(Secret::Env(given(&raw.env)?.0.clone())),
        (None, Some(_)) => Some(Secret::File(given(&raw.file)?.clone())),
        (Some(_), Some(_)) => {
            written.refuse("is in two places", "keep `env:` or `file:`", problems);
            None
        }
        (None, None) => {
            written.refuse("is nowhere", "add `env: NAME` or `file: PATH`", problems);
            None
        }
    }
}
