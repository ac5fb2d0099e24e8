//! One cluster's state between ticks, and the only code that writes to journal and cloud.
//!
//! Rule: memory changes only by folding what the journal has accepted.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;

use super::clock::Clock;
use super::hearing::Hearing;
use super::inbox::{Inbox, Ordered};
use super::need::need;
use super::originals::originals;
use crate::cloud::Cloud;
use crate::config::ClusterConfig;
use crate::cutover;
use crate::guard::{self, Admitted, Case, Lease};
use crate::journal::{Intent, Journal, JournalError, Standing};
use crate::model::{
    Change, Entry, Hold, Memory, Note, Outcome, Plan, Planned, Reason, Record, Seq, Snapshot,
    Subject, Switch,
};

/// Time one write may take, read-back included.
const ACT_LIMIT: Duration = Duration::from_secs(20);

/// What a cluster's loop carries from tick to tick.
pub struct Cluster {
    pub config: ClusterConfig,
    pub memory: Memory,
    pub standing: Standing,
    /// As of the last request that was asked about.
    pub lease: Lease,
    /// The stop switch as it was last read.
    pub switch: Switch,
    /// The last whole look, kept fresh by quick ones while a route moves.
    pub seen: Option<Snapshot>,
    /// When that whole look was taken.
    pub looked_at: Option<DateTime<Utc>>,
    /// What was told since.
    pub hearing: Hearing,
}

/// What became of a planned action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The guard refused it; nothing was sent.
    Held(Hold),
    Acted {
        intent: Seq,
        outcome: Outcome,
    },
}

impl Cluster {
    /// Recovers what the journal knows and takes the cluster's next epoch; or stands by, where
    /// another replica leads.
    pub async fn open(
        config: ClusterConfig,
        journal: &mut impl Journal,
    ) -> Result<Self, JournalError> {
        let (memory, standing) = journal.recover().await?;
        let (lease, hearing) = (journal.lease(), Hearing::default());
        let (switch, seen, looked_at) = (Switch::default(), None, None);
        Ok(Self { config, memory, standing, lease, switch, seen, looked_at, hearing })
    }

    /// Takes up another configuration, and looks at everything before anything is done by it.
    pub fn configure(&mut self, config: ClusterConfig) {
        self.config = config;
        self.looked_at = None;
        self.hearing.stir();
    }

    /// Takes up what was told; whether it is worth a look at once.
    pub fn hear(&mut self, changes: Vec<Change>) -> bool {
        self.hearing.hear(changes, self.seen.as_mut())
    }

    /// Looks at everything; or, while a route moves, at traffic and services between whole looks;
    /// or at nothing, where nothing is to be done and no change was told.
    pub async fn look(&mut self, cloud: &impl Cloud, clock: &impl Clock) -> Snapshot {
        let now = clock.now();
        if let Some(still) = self.undisturbed(cloud.hears_until(), now) {
            return still;
        }
        let mut need = need(&self.config, &self.memory, self.seen.as_ref(), now);
        let due = self.looked_at.is_none_or(|at| now - at >= self.config.interval || at > now);
        need.tasks_of.extend(self.hearing.warned());
        let quick = !due && cutover::need::is_urgent(&self.config, &self.memory);
        let mut snapshot = match self.seen.as_ref().filter(|_| quick) {
            Some(seen) => {
                let mut seen = seen.clone();
                need.only_traffic = true;
                let fresh = cloud.observe(&need).await;
                seen.taken_at = fresh.taken_at;
                seen.traffic = fresh.traffic;
                seen.services = fresh.services;
                seen
            }
            None => {
                self.looked_at = Some(now);
                let fresh = cloud.observe(&need).await;
                self.hearing.looked(self.seen.as_ref(), &fresh, &self.memory);
                fresh
            }
        };
        self.hearing.fold(&mut snapshot, &self.memory);
        self.seen = Some(snapshot.clone());
        snapshot
    }

    fn undisturbed(
        &mut self,
        hears_until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Option<Snapshot> {
        let (seen, looked_at) = (self.seen.as_ref()?, self.looked_at?);
        let state = (&self.config, &self.memory);
        self.hearing.confirmed(state, seen, looked_at, hears_until?, now)
    }

    /// Takes up what the journal holds after a write of unknown fate, under a new epoch. Whoever
    /// begins to lead looks at everything before anything is done.
    pub async fn reopen(&mut self, journal: &mut impl Journal) -> Result<(), JournalError> {
        let waited = self.standing != Standing::Leads;
        (self.memory, self.standing) = journal.recover().await?;
        self.lease = journal.lease();
        self.hearing.stir();
        if waited && self.standing == Standing::Leads {
            self.looked_at = None;
        }
        Ok(())
    }

    /// Records notes and folds them in.
    pub async fn note(
        &mut self,
        journal: &mut impl Journal,
        notes: Vec<Note>,
        clock: &impl Clock,
    ) -> Result<(), JournalError> {
        let records = notes.into_iter().map(|note| Record::Noted { note }).collect();
        self.append(journal, records, clock).await.map(|_| ())
    }

    /// Records a person's order, folds it in and tells the person.
    pub async fn obey(
        &mut self,
        journal: &mut impl Journal,
        ordered: Ordered,
        clock: &impl Clock,
    ) -> Result<(), JournalError> {
        if let Some(leader) = self.standing.leader() {
            let text = format!("this replica stands by; {} leads", leader.owner);
            let _gone = ordered.done.send(Err(text));
            return Ok(());
        }
        let record = Record::Command { command: ordered.command };
        let written = self.append(journal, vec![record], clock).await;
        let answer = match &written {
            Ok(entries) => Ok(entries.last().map_or(self.memory.seq, |entry| entry.seq)),
            Err(error) => Err(error.to_string()),
        };
        // Whoever asked may have gone away; the order stands all the same.
        let _gone = ordered.done.send(answer);
        written.map(|_| ())
    }

    /// Reads the stop switch, if there is one and it was not read just now.
    pub async fn ask_switch(&mut self, cloud: &impl Cloud, clock: &impl Clock) {
        if self.config.stop_parameter.is_some() && !self.switch.is_fresh(clock.now()) {
            let answer = cloud.stop_switch().await;
            self.switch.take(answer, clock.now());
        }
    }

    /// Asks the guard about actions of one rank, each in the light of those admitted before it.
    pub fn admit(
        &self,
        seen: &Snapshot,
        planned: &[Planned],
        voided: &BTreeSet<Subject>,
        clock: &impl Clock,
    ) -> (Vec<Admitted>, Vec<(Planned, Hold)>) {
        let now = clock.now();
        let mut memory = self.memory.clone();
        let (mut admitted, mut refused) = (Vec::new(), Vec::new());
        for planned in planned {
            if planned.action.subjects().iter().any(|subject| voided.contains(subject)) {
                let reason = Reason::Outdated { what: planned.subject().to_string() };
                let hold = Hold::new(planned.subject(), planned.kind, reason);
                refused.push((planned.clone(), hold));
                continue;
            }
            let (config, lease) = (&self.config, &self.lease);
            let switch = &self.switch;
            let case = Case { config, snapshot: seen, memory: &memory, lease, switch, now };
            match guard::admit(case, planned.clone()) {
                Ok(one) => {
                    let record = Record::Intent { planned: planned.clone() };
                    let (seq, epoch) = (Seq(memory.seq.0 + 1), self.lease.epoch);
                    memory = memory.fold(&Entry { seq, epoch, at: now, record });
                    admitted.push(one);
                }
                Err(hold) => refused.push((planned.clone(), hold)),
            }
        }
        (admitted, refused)
    }

    /// Carries out admitted actions: originals and intents first, then the requests a few at a
    /// time, then their outcomes. A batch under way is finished;
    /// orders of people are taken between ranks.
    pub async fn perform(
        &mut self,
        cloud: &impl Cloud,
        journal: &mut impl Journal,
        seen: &Snapshot,
        admitted: Vec<Admitted>,
        clock: &impl Clock,
    ) -> Result<Vec<(Planned, Verdict)>, JournalError> {
        let mut done = Vec::new();
        let first: Vec<_> = admitted
            .iter()
            .flat_map(|admitted| originals(seen, &self.memory, &admitted.planned().action))
            .collect();
        self.note(journal, first, clock).await?;
        if admitted.iter().any(|admitted| !admitted.planned().action.shows_in_traffic()) {
            // A quick look would not show it, and it would be done again.
            self.looked_at = None;
        }
        let intents = self.intend(journal, admitted, clock).await?;
        for batch in intents.chunks(Plan::AT_ONCE) {
            self.lease = journal.lease();
            let outcomes = match self.lease.time_limit(clock.now(), ACT_LIMIT) {
                Some(limit) => join_all(batch.iter().map(|one| cloud.act(one, limit))).await,
                None => vec![unsent(); batch.len()],
            };
            let records = batch.iter().zip(&outcomes);
            let records = records.map(|(intent, outcome)| Record::Outcome {
                of: intent.seq(),
                outcome: outcome.clone(),
            });
            self.append(journal, records.collect(), clock).await?;
            done.extend(batch.iter().zip(outcomes).map(|(intent, outcome)| {
                let verdict = Verdict::Acted { intent: intent.seq(), outcome };
                (intent.planned().clone(), verdict)
            }));
        }
        Ok(done)
    }

    /// Takes the orders that wait. Called between the ranks of a plan.
    pub async fn take_orders(
        &mut self,
        journal: &mut impl Journal,
        inbox: &mut Inbox,
        clock: &impl Clock,
    ) -> Result<(), JournalError> {
        while let Some(ordered) = inbox.waiting() {
            self.obey(journal, ordered, clock).await?;
        }
        Ok(())
    }

    async fn intend(
        &mut self,
        journal: &mut impl Journal,
        admitted: Vec<Admitted>,
        clock: &impl Clock,
    ) -> Result<Vec<Intent>, JournalError> {
        if admitted.is_empty() {
            return Ok(Vec::new());
        }
        let (mut intents, mut entries) = (Vec::new(), Vec::new());
        for (intent, entry) in journal.intend(admitted, clock.now()).await? {
            intents.push(intent);
            entries.push(entry);
        }
        self.fold(&entries);
        Ok(intents)
    }

    async fn append(
        &mut self,
        journal: &mut impl Journal,
        records: Vec<Record>,
        clock: &impl Clock,
    ) -> Result<Vec<Entry>, JournalError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let entries = journal.append(records, clock.now()).await?;
        self.fold(&entries);
        Ok(entries)
    }

    /// What is remembered says what must be seen, so the last look may have been of too little.
    fn fold(&mut self, entries: &[Entry]) {
        self.hearing.stir();
        for entry in entries {
            self.memory = std::mem::take(&mut self.memory).fold(entry);
        }
    }
}

/// Of a request whose intent took so long to record that it could outlive the lease.
fn unsent() -> Outcome {
    Outcome::Moved {
        expected: "a lease that lasts as long as the request".to_owned(),
        found: "one that ends earlier".to_owned(),
    }
}
