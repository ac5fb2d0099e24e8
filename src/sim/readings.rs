//! What answers questions beyond the load balancer's metrics: alarms, queries, checks, probes.
//!
//! Rule: a probe takes the way a user's request would take, by the rules in effect.

use crate::model::{Ask, Asked, Listener, Reading, RuleAction, RuleImage, Said, TrafficNeed};

use super::balancer::SimListener;
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

    pub(super) fn ask(&self, need: &TrafficNeed, ask: &Ask) -> Reading {
        let answer = match &ask.of {
            Asked::Alarm { alarm } => self.said(alarm),
            Asked::Prometheus { query, .. } => self.said(query),
            Asked::Http { url } => self.said(url),
            Asked::Probe { url, host, header, expect_status } => {
                let header = (header.0.as_str(), header.1.as_str());
                self.probe(need, url, host.as_deref(), header, *expect_status)
            }
        };
        Reading { at: self.now, said: answer.said, detail: answer.detail }
    }

    fn said(&self, of: &str) -> Answer {
        let known = self.traffic.says.get(of).cloned();
        known.unwrap_or_else(|| nothing(format!("{of} does not exist")))
    }

    fn probe(
        &self,
        need: &TrafficNeed,
        url: &str,
        host: Option<&str>,
        header: (&str, &str),
        expect_status: u16,
    ) -> Answer {
        let Some(address) = Address::of(url) else {
            return nothing(format!("`{url}` is no URL"));
        };
        let asked = |sim: &&SimListener| {
            need.listeners.contains(&sim.shown.arn) && sim.shown.port == address.port
        };
        let Some(sim) = self.traffic.listeners.values().find(asked) else {
            return nothing(format!("nothing answers at port {}", address.port));
        };
        let host = host.unwrap_or(address.host);
        let request = Request { host, path: address.path, header: Some(header) };
        let (status, by) = self.reply(&sim.effective, &request);
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

/// The parts of `http://HOST:PORT/PATH` that a rule or a listener sees.
struct Address<'a> {
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl<'a> Address<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let path = path.split(['?', '#']).next().filter(|path| !path.is_empty()).unwrap_or("/");
        let own = if scheme == "https" { 443 } else { 80 };
        Some(match authority.rsplit_once(':') {
            Some((host, port)) => Self { host, port: port.parse().ok()?, path },
            None => Self { host: authority, port: own, path },
        })
    }
}

fn nothing(detail: String) -> Answer {
    Answer { said: Said::Nothing, detail }
}
