//! One process on the table that replicas share: what it is called, where others reach it, and its
//! journals.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::exit::{Exit, Failure};
use super::output::say;
use super::remote::Remote;
use crate::access::Ledger;
use crate::aws::AwsTable;
use crate::config::TableConfig;
use crate::control::{Clock, SystemClock};
use crate::journal::{Holder, Journal, JournalError, Replicated, Standing};
use crate::model::{ClusterName, Memory};

/// Where ECS tells a task about itself.
const METADATA: &str = "ECS_CONTAINER_METADATA_URI_V4";
/// Time for an answer from there.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks at a lease in the time that it holds.
const LOOKS: u32 = 10;

/// A process on a table.
pub(super) struct Replica {
    table: AwsTable,
    config: TableConfig,
    owner: String,
    /// Where it passes for others to send orders; `None`: nowhere.
    address: Option<String>,
}

/// Who leads a cluster.
pub(super) enum Led {
    /// This process leads until it releases it.
    Here(Box<(Replicated<AwsTable>, Memory)>),
    By(Remote),
}

impl Replica {
    /// A new one on this table. Makes no call.
    pub(super) async fn new(
        config: &TableConfig,
        address: Option<String>,
    ) -> Result<Self, Failure> {
        let table = AwsTable::connect(&config.table, config.region.as_deref()).await;
        let table = table.map_err(|e| Failure::new(Exit::Unreachable, e.to_string()))?;
        Ok(Self { table, config: config.clone(), owner: owner()?, address })
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    pub(super) fn table(&self) -> &str {
        &self.config.table
    }

    /// The record of changes; it knows no token until it is read.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger::shared(self.table.clone())
    }

    pub(super) fn journal(&self, cluster: &ClusterName) -> Replicated<AwsTable> {
        let now = Arc::new(|| SystemClock.moment());
        let (table, lease) = (self.table.clone(), self.lease());
        let journal = Replicated::new(table, cluster.clone(), &self.owner, lease, now);
        journal.reached_at(self.address.clone())
    }

    /// What a journal remembers, whoever writes it; `None`: there is none.
    pub(super) async fn peek(&self, cluster: &ClusterName) -> Result<Option<Memory>, JournalError> {
        Replicated::peek(&self.table, cluster).await
    }

    /// Takes the lease of a cluster that nobody leads, or finds who does. One that died with it is
    /// waited for.
    pub(super) async fn lead(
        &self,
        cluster: &ClusterName,
        token: Option<&str>,
    ) -> Result<Led, Failure> {
        let mut journal = self.journal(cluster);
        let pause = self.lease() / LOOKS;
        for look in 0..2 * LOOKS {
            let leader = match journal.recover().await {
                Ok((memory, Standing::Leads)) => return Ok(Led::Here(Box::new((journal, memory)))),
                // As far as was observed, its lease is not over: else it had been taken.
                Ok((_, Standing::StandsBy(leader))) => leader,
                Err(error) => {
                    // What followed on taking the lease has failed; others shall not wait for it.
                    journal.release().await;
                    return Err(error.into());
                }
            };
            if let Some(address) = leader.reached_from_here()
                && let Some(remote) = Remote::alive(address, token.map(str::to_owned)).await?
            {
                return Ok(Led::By(remote));
            }
            if look == 0 {
                let Holder { owner, .. } = &leader;
                say(&format!("tidegate: {owner} leads and does not answer; waiting for its lease"));
            }
            SystemClock.sleep(pause).await;
        }
        Err(Failure::new(Exit::RetryLater, format!("another replica leads {cluster}"))
            .hint("give its address with --server"))
    }

    fn lease(&self) -> Duration {
        self.config.lease.to_std().unwrap_or_default()
    }
}

/// Where others reach a server that listens here: as told, else the address it listens on, else
/// the one that ECS has given to this task. `None`: nobody knows.
pub(super) async fn reached_at(told: Option<&str>, listens: SocketAddr) -> Option<String> {
    if let Some(told) = told {
        return Some(told.to_owned());
    }
    if !listens.ip().is_unspecified() {
        return Some(format!("http://{listens}"));
    }
    let ip = own_address().await?.parse().ok()?;
    Some(format!("http://{}", SocketAddr::new(ip, listens.port())))
}

/// A container as ECS describes it. Source: "Amazon ECS task metadata endpoint version 4".
#[derive(Deserialize)]
struct Container {
    #[serde(rename = "Networks")]
    networks: Vec<Network>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(rename = "NetworkMode")]
    mode: String,
    #[serde(rename = "IPv4Addresses", default)]
    addresses: Vec<String>,
}

/// Of a task with a network interface of its own; in other modes ports are mapped.
async fn own_address() -> Option<String> {
    let url = std::env::var(METADATA).ok()?;
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().ok()?;
    let container: Container = http.get(url).send().await.ok()?.json().await.ok()?;
    let own = container.networks.into_iter().find(|network| network.mode == "awsvpc")?;
    own.addresses.into_iter().next()
}

/// Host, process, and a random part, which no other process ever has.
fn owner() -> Result<String, Failure> {
    let host = Holder::machine();
    let random = getrandom::u64().map_err(|error| {
        Failure::new(Exit::Failed, format!("no random numbers from the system: {error}"))
    })?;
    Ok(format!("{host}/{}/{random:016x}", std::process::id()))
}
