//! Where journals and the record of changes are, for commands that find no server.
//!
//! Rule: a journal is read by anybody and written by its one writer: without the lock of its file,
//! or the lease of its cluster, nothing is ordered.

use std::path::PathBuf;

use super::exit::{Exit, Failure};
use super::remote::Where;
#[cfg(feature = "aws")]
use super::replica::Replica;
use crate::access::Ledger;
use crate::config::JournalConfig;
use crate::journal::{Journal, Sqlite};
use crate::model::{ClusterName, Memory};

/// As the configuration says; without one, the state directory.
pub(super) enum Kept {
    Here(PathBuf),
    #[cfg(feature = "aws")]
    Shared(Replica),
}

impl Kept {
    pub(super) async fn find(at: &Where) -> Result<Self, Failure> {
        let config = at.given.config().await?;
        match config.map(|config| config.journal).unwrap_or_default() {
            JournalConfig::Sqlite => Ok(Self::Here(at.state.clone())),
            #[cfg(feature = "aws")]
            JournalConfig::DynamoDb(table) => Ok(Self::Shared(Replica::new(&table, None).await?)),
            #[cfg(not(feature = "aws"))]
            JournalConfig::DynamoDb(_) => Err(super::run::without_aws()),
        }
    }

    /// The record of changes as it is; it knows no token until it is read.
    pub(super) fn unchecked_ledger(&self) -> Result<Ledger, Failure> {
        Ok(match self {
            Self::Here(state) => Ledger::open_unchecked(state)?,
            #[cfg(feature = "aws")]
            Self::Shared(replica) => replica.ledger(),
        })
    }

    /// The record of changes and the tokens it knows.
    pub(super) async fn ledger(&self) -> Result<Ledger, Failure> {
        Ok(self.unchecked_ledger()?.read().await?)
    }

    /// What a journal remembers, whoever writes it; `None`: there is none.
    pub(super) async fn memory(&self, cluster: &ClusterName) -> Result<Option<Memory>, Failure> {
        Ok(match self {
            Self::Here(state) => Sqlite::peek(state, cluster)?,
            #[cfg(feature = "aws")]
            Self::Shared(replica) => replica.peek(cluster).await?,
        })
    }

    /// The last decisions, newest first; or the one of this id.
    pub(super) async fn decisions(
        &self,
        cluster: &ClusterName,
        id: Option<&str>,
        limit: usize,
    ) -> Result<Vec<serde_json::Value>, Failure> {
        let all = match self {
            Self::Here(state) => {
                let mut journal = Sqlite::open(state, cluster)?;
                if let Some(id) = id {
                    return Ok(journal.decision(id).into_iter().collect());
                }
                journal.decisions(limit).await
            }
            #[cfg(feature = "aws")]
            Self::Shared(replica) => replica.journal(cluster).decisions(usize::MAX).await,
        };
        let wanted = |kept: &serde_json::Value| id.is_none_or(|id| kept["id"] == id);
        Ok(all.into_iter().filter(wanted).take(limit).collect())
    }
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Here(state) => state.display().fmt(f),
            #[cfg(feature = "aws")]
            Self::Shared(replica) => write!(f, "table {}", replica.table()),
        }
    }
}

/// There is nothing to read.
pub(super) fn no_journal(kept: &Kept, cluster: &ClusterName) -> Failure {
    Failure::new(Exit::Failed, format!("there is no journal of {cluster} in {kept}"))
        .hint("name its directory with --state, or the configuration of its table with --config")
}
