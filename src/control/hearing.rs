//! What was heard between looks, and when hearing of no change may stand for a look.
//!
//! Rule: silence is trusted only while whoever tells of changes answers, and only by a tick that
//! has nothing to do. Whatever would be written, or noted, is decided on a look.

use chrono::{DateTime, TimeDelta, Utc};

use super::merge::plan;
use crate::config::ClusterConfig;
use crate::model::{
    Applied, Change, Fact, Handback, InstanceId, Memory, Snapshot, Subject, Warned,
};

/// The queue is asked again and again, each time for up to 20 s; longer without an answer, it is
/// as good as missing.
const SILENCE_MAX: TimeDelta = TimeDelta::seconds(60);

/// The ear of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    /// Heard since the last whole look, which may have been too early to show it.
    heard: Vec<Change>,
    /// Something is not as the last whole look showed it, be it by others or by us, or more is to
    /// be seen than it showed.
    news: bool,
    /// Silence has stood for a look since the last one.
    rested: bool,
    /// A look showed what nobody had told, so silence proves nothing until something is told.
    deaf: bool,
}

impl Hearing {
    /// Takes up what was told; whether it is worth a look at once.
    pub fn hear(&mut self, changes: Vec<Change>, seen: Option<&mut Snapshot>) -> bool {
        let Some(seen) = seen else {
            return false;
        };
        let mut urgent = false;
        for change in changes {
            self.deaf = false;
            let applied = seen.apply(&change);
            // EC2 warns of all instances of the account.
            let elsewhere = applied == Applied::Unknown && matches!(change, Change::Warned { .. });
            let news = applied != Applied::Stale && !elsewhere;
            self.news |= news;
            urgent |= news && change.is_urgent();
            self.heard.push(change);
        }
        urgent
    }

    /// Something was recorded: we have changed something, or mean to, or wait for something.
    pub fn stir(&mut self) {
        self.news = true;
    }

    /// Hosts whose tasks the next look must list, because of what was heard.
    pub fn warned(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.heard.iter().filter_map(|change| match change {
            Change::Warned { instance, .. } => Some(instance.clone()),
            _ => None,
        })
    }

    /// Folds what was heard, and what memory holds of it, into a look.
    pub fn fold(&mut self, snapshot: &mut Snapshot, memory: &Memory) {
        for change in &self.heard {
            snapshot.apply(change);
        }
        for ((subject, fact), since) in &memory.since {
            if let (Subject::Host(host), Fact::Warned { warning }) = (subject, fact)
                && let Some(host) = snapshot.hosts.value.get_mut(host)
            {
                let known = Warned { warning: *warning, at: *since };
                host.warned = Some(host.warned.map_or(known, |heard| heard.min(known)));
            }
        }
    }

    /// After a whole look: what was heard before is in it, or in memory once this tick has noted
    /// it.
    pub fn looked(&mut self, before: Option<&Snapshot>, now: &Snapshot, memory: &Memory) {
        // Only then: else a look may well come before the event.
        let silent = self.rested && !self.news;
        let untold = before.filter(|_| silent).is_some_and(|before| differs(before, now));
        if untold {
            tracing::warn!("a look shows changes that no event told: looking at every interval");
        }
        self.deaf |= untold;
        (self.news, self.rested) = (false, false);
        self.heard.retain(|change| match change {
            Change::Warned { instance, warning, .. } => {
                let fact = (Subject::Host(instance.clone()), Fact::Warned { warning: *warning });
                now.hosts.value.contains_key(instance) && !memory.since.contains_key(&fact)
            }
            _ => false,
        });
    }

    /// What was seen last, confirmed by silence up to now; nothing where a look is due.
    pub fn confirmed(
        &mut self,
        (config, memory): (&ClusterConfig, &Memory),
        seen: &Snapshot,
        looked_at: DateTime<Utc>,
        hears_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<Snapshot> {
        let due = now - looked_at >= config.resync || looked_at > now;
        let silent = now - hears_until > SILENCE_MAX;
        if due || silent || self.news || self.deaf || moves(memory) || !seen.is_complete() {
            return None;
        }
        let seen = seen.clone().confirmed(hears_until.min(now));
        let plan = plan(config, &seen, memory, now);
        self.rested |= plan.actions.is_empty() && plan.notes.is_empty();
        (plan.actions.is_empty() && plan.notes.is_empty()).then_some(seen)
    }
}

/// Whether something of ours is under way, which no event tells in full.
fn moves(memory: &Memory) -> bool {
    !memory.drains.is_empty()
        || !memory.in_doubt.is_empty()
        || memory.cutovers.values().any(|cutover| cutover.is_open())
        || memory.releases.values().any(|release| release.is_open())
        || memory.handback.as_ref().is_some_and(Handback::is_under_way)
}

/// By the version that ECS counts for each container instance.
fn differs(before: &Snapshot, now: &Snapshot) -> bool {
    let versions = |of: &Snapshot| -> Vec<_> {
        of.hosts.value.values().map(|host| (host.instance.clone(), host.version)).collect()
    };
    versions(before) != versions(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::build::{host, now, snapshot};

    /// Whether silence stands for a look, ten seconds after the last one.
    fn trusts(ear: &mut Hearing, seen: &Snapshot) -> bool {
        let (config, memory) = (ClusterConfig::new("web", Vec::new()), Memory::default());
        let later = now() + TimeDelta::seconds(10);
        ear.confirmed((&config, &memory), seen, now(), later, later).is_some()
    }

    #[test]
    fn silence_is_trusted_until_a_look_shows_what_nobody_told() {
        let (before, after) = (snapshot(), snapshot().with_host(host("i-1")));
        let memory = Memory::default();
        let mut ear = Hearing::default();
        ear.looked(Some(&before), &after, &memory);
        assert!(trusts(&mut ear, &before), "a look may come before the event");
        ear.looked(Some(&before), &after, &memory);
        assert!(!trusts(&mut ear, &before), "silence stood for a look, and was wrong");
        let told = Change::Task { task: "t".to_owned(), status: "RUNNING".to_owned() };
        assert!(!ear.hear(vec![told], Some(&mut before.clone())), "not urgent");
        assert!(!trusts(&mut ear, &before), "there is news");
        ear.looked(Some(&before), &after, &memory);
        assert!(trusts(&mut ear, &before), "it hears again");
    }

    #[test]
    fn what_we_did_ourselves_is_looked_at() {
        let (mut ear, seen) = (Hearing::default(), snapshot());
        ear.stir();
        assert!(!trusts(&mut ear, &seen));
    }
}
