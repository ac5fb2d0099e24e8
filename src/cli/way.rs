//! How an order gets to the one writer of a cluster: through a server, or into the journal by this
//! process, where nobody else writes it.
//!
//! Rule: it is in the record of changes before it is in the journal; only stopping goes on without.

use super::exit::{Exit, Failure};
use super::kept::Kept;
use super::order::{now, state_owner};
use super::output::say;
use super::remote::{Remote, Where};
#[cfg(feature = "aws")]
use super::replica::Led;
use crate::access::{Deed, Ledger, Permission, Verdict, nonce};
use crate::journal::{Journal, Sqlite};
use crate::model::{ClusterName, Command, Memory, Order, Record};

pub(super) enum Way {
    Server(Remote),
    Journal(Box<Writer>),
}

/// This process, for one order.
pub(super) struct Writer {
    cluster: ClusterName,
    kept: Kept,
    journal: Held,
    memory: Memory,
}

/// A journal that nobody else can write.
enum Held {
    File(Box<Sqlite>),
    #[cfg(feature = "aws")]
    Table(Box<crate::journal::Replicated<crate::aws::AwsTable>>),
}

impl Way {
    /// Through the server, else through the replica that leads the cluster, else by this process.
    pub(super) async fn find(at: &Where, cluster: &ClusterName) -> Result<Self, Failure> {
        if let Some(remote) = Remote::find(at).await? {
            return Ok(Self::Server(remote));
        }
        let kept = Kept::find(at).await?;
        let (journal, memory) = match &kept {
            Kept::Here(state) => {
                let mut journal = Sqlite::open(state, cluster)?;
                let (memory, _) = journal.recover().await?;
                (Held::File(Box::new(journal)), memory)
            }
            #[cfg(feature = "aws")]
            Kept::Shared(replica) => match replica.lead(cluster, at.token.as_deref()).await? {
                Led::By(remote) => return Ok(Self::Server(remote)),
                Led::Here(led) => {
                    let (journal, memory) = *led;
                    (Held::Table(Box::new(journal)), memory)
                }
            },
        };
        let writer = Writer { cluster: cluster.clone(), kept, journal, memory };
        Ok(Self::Journal(Box::new(writer)))
    }
}

impl Writer {
    /// Puts an order into the journal, in the record of changes before and after, if nothing that
    /// the journal remembers speaks against it.
    pub(super) async fn obey(
        mut self,
        order: Order,
        reason: &str,
        check: impl FnOnce(&Memory) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let obeyed = match check(&self.memory) {
            Ok(()) => self.record(order, reason).await,
            Err(refused) => Err(refused),
        };
        match self.journal {
            Held::File(mut journal) => journal.release().await,
            #[cfg(feature = "aws")]
            Held::Table(mut journal) => journal.release().await,
        }
        obeyed
    }

    async fn record(&mut self, order: Order, reason: &str) -> Result<(), Failure> {
        if reason.trim().is_empty() {
            return Err(
                Failure::new(Exit::Usage, "the reason is empty").hint("say why in a few words")
            );
        }
        let Self { cluster, kept, journal, memory } = self;
        let needs = Permission::of(&order, memory.mode);
        let request = nonce().map_err(|error| Failure::new(Exit::Failed, error))?;
        let owner = state_owner();
        let deed = Deed::new(&owner, &owner.name, &request, "");
        let deed = deed.of(&order, cluster, memory.mode, reason);
        let ledger = match begun(kept, &deed).await {
            Ok(ledger) => Some(ledger),
            Err(failure) if needs.waits_for_the_record() => return Err(failure),
            Err(failure) => {
                let why = failure.message;
                say(&format!("tidegate: not in the record of changes: {why}"));
                None
            }
        };
        let command = Command { actor: owner.name, reason: reason.to_owned(), order };
        let records = vec![Record::Command { command }];
        let written = match journal {
            Held::File(journal) => journal.append(records, now()).await,
            #[cfg(feature = "aws")]
            Held::Table(journal) => journal.append(records, now()).await,
        };
        let (result, detail) = match &written {
            Ok(entries) => {
                let seq = entries.last().map_or(memory.seq, |entry| entry.seq);
                (Verdict::Done, format!("journal {}", seq.0))
            }
            Err(error) => (Verdict::Failed, error.to_string()),
        };
        if let Some(mut ledger) = ledger
            && let Err(error) = ledger.append(&deed, result, Some(detail), None, now()).await
        {
            say(&format!("tidegate: its end is not in the record of changes: {error}"));
        }
        Ok(written.map(|_| ())?)
    }
}

async fn begun(kept: &Kept, deed: &Deed) -> Result<Ledger, Failure> {
    let mut ledger = kept.ledger().await?;
    ledger.append(deed, Verdict::Begun, None, None, now()).await?;
    Ok(ledger)
}
