//! What answers questions beyond the load balancer's metrics: alarms, queries, checks, probes.
//!
//! Rule: a probe takes the way a user's request would take, by the rules in effect.

use crate::model::{Ask, Asked, Listener, ListenerArn, Reading, RuleAction, RuleImage, Said};

use super::rng::Rng;
use super::routing::{Request, answering, route};
use super::world::World;

/// What an alarm, a query or a check says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) said: Said,
    pub(super) detail: String,
}

impl World {
    /// Lets an alarm (by name), a query or a check (by URL) say this from now on.
    pub fn says(&mut self, of: &str, said: Said, detail: &str) {
        let answer = Answer { said, detail: detail.to_owned() };
        self.traffic.says.insert(of.to_owned(), answer);
    }

    pub(super) fn ask(&self, ask: &Ask) -> Reading {
        let answer = match &ask.of {
            Asked::Alarm { alarm } => self.said(alarm),
            Asked::Prometheus { query, .. } => self.said(query),
            Asked::Http { url } => self.said(url),
            Asked::Probe { listener, url, host, header, expect_status } => {
                let (own, path) = parts(url);
                let host = host.as_deref().unwrap_or(own);
                let header = Some((header.0.as_str(), header.1.as_str()));
                self.probe(listener, &Request { host, path, header }, *expect_status)
            }
        };
        Reading { at: self.now, said: answer.said, detail: answer.detail }
    }

    fn said(&self, of: &str) -> Answer {
        let known = self.traffic.says.get(of).cloned();
        known.unwrap_or_else(|| nothing(format!("{of} does not exist")))
    }

    fn probe(&self, listener: &ListenerArn, request: &Request<'_>, expect_status: u16) -> Answer {
        let Some(sim) = self.traffic.listeners.get(listener) else {
            return nothing(format!("nothing answers at {listener}"));
        };
        let (status, by) = self.reply(&sim.effective, request);
        let said = if status == expect_status { Said::Pass } else { Said::Fail };
        Answer { said, detail: format!("{status} by {by}") }
    }

    fn reply(&self, listener: &Listener, request: &Request<'_>) -> (u16, String) {
        let by_balancer = |status| (status, "the load balancer".to_owned());
        match answering(route(listener, request)) {
            Some(
                RuleAction::FixedResponse { status, .. } | RuleAction::Redirect { status, .. },
            ) => by_balancer(*status),
            Some(RuleAction::Forward { weights, .. }) => {
                let mut rng = self.dice();
                let image = RuleImage::split(weights.clone());
                let sum: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
                let mut at = rng.below(sum);
                let chosen = weights.keys().find(|group| {
                    let weight = u64::from(image.weight_of(group));
                    let is_it = at < weight;
                    at = at.saturating_sub(weight);
                    is_it
                });
                let group = chosen.and_then(|arn| self.traffic.groups.get(arn));
                let in_use = group.map(|group| group.in_use()).unwrap_or_default();
                let Some((_, target)) = rng.pick(&in_use) else {
                    return by_balancer(503);
                };
                if target.is_dead {
                    return by_balancer(502);
                }
                let fault = self.traffic.misbehaviours.get(&target.service);
                let errors_bp = fault.map_or(0, |fault| u64::from(fault.errors_bp));
                let status = if rng.below(10_000) < errors_bp { 500 } else { 200 };
                (status, target.service.to_string())
            }
            _ => by_balancer(500),
        }
    }

    /// Chance that depends on the moment only, so that looking changes nothing.
    fn dice(&self) -> Rng {
        Rng::new(self.seed ^ self.now.timestamp_millis().unsigned_abs())
    }
}

/// Host and path of `http://HOST:PORT/PATH` or of a path alone, as a rule sees them.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = path.split(['?', '#']).next().filter(|path| !path.is_empty()).unwrap_or("/");
    (authority.split(':').next().unwrap_or_default(), path)
}

fn nothing(detail: String) -> Answer {
    Answer { said: Said::Nothing, detail }
}
