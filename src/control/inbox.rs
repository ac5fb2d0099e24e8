//! Orders of people, and new configurations, on their way to the loop that carries them out.

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::ClusterConfig;
use crate::model::{Command, Seq};

/// Orders that may wait at one time; more are refused at once.
const WAITING_MAX: usize = 32;

/// A command and whom to tell that it is journalled.
#[derive(Debug)]
pub struct Ordered {
    pub command: Command,
    pub done: oneshot::Sender<Result<Seq, String>>,
}

/// What wakes the loop.
#[derive(Debug)]
pub enum Arrival {
    Order(Ordered),
    Config(Box<ClusterConfig>),
}

/// The sending side, cheap to clone.
#[derive(Clone, Debug)]
pub struct Orders(mpsc::Sender<Ordered>, watch::Sender<Option<ClusterConfig>>);

/// The loop's side.
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<Ordered>, watch::Receiver<Option<ClusterConfig>>);

/// A bounded pair.
pub fn inbox() -> (Orders, Inbox) {
    let (orders, inbox) = mpsc::channel(WAITING_MAX);
    let (configure, configured) = watch::channel(None);
    (Orders(orders, configure), Inbox(inbox, configured))
}

impl Orders {
    /// Hands an order over and waits until it is in the journal.
    pub async fn order(&self, command: Command) -> Result<Seq, String> {
        let (done, answer) = oneshot::channel();
        let busy = |_| "the control loop takes no orders just now".to_owned();
        self.0.try_send(Ordered { command, done }).map_err(busy)?;
        answer.await.map_err(|_| "the control loop has stopped".to_owned())?
    }

    /// Hands a configuration over, which is in force from the next tick on.
    pub fn configure(&self, config: ClusterConfig) {
        self.1.send_replace(Some(config));
    }
}

impl Inbox {
    /// The next order, once there is one; never returns when nobody can send any more.
    pub async fn next(&mut self) -> Ordered {
        match self.0.recv().await {
            Some(ordered) => ordered,
            None => std::future::pending().await,
        }
    }

    /// The next order, or the newest configuration, once there is one.
    pub async fn arrival(&mut self) -> Arrival {
        let Self(orders, configs) = self;
        tokio::select! {
            biased;
            Some(ordered) = orders.recv() => Arrival::Order(ordered),
            Some(config) = newest(configs) => Arrival::Config(Box::new(config)),
            else => std::future::pending().await,
        }
    }

    /// An order that is already waiting.
    pub fn waiting(&mut self) -> Option<Ordered> {
        self.0.try_recv().ok()
    }
}

async fn newest(configs: &mut watch::Receiver<Option<ClusterConfig>>) -> Option<ClusterConfig> {
    configs.changed().await.ok()?;
    configs.borrow_and_update().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_configuration_arrives_and_orders_go_first() {
        let (orders, mut inbox) = inbox();
        for name in ["old", "new"] {
            orders.configure(ClusterConfig::new(name, Vec::new()));
        }
        let pause = crate::model::Order::Pause;
        let (actor, reason) = ("ann".to_owned(), "incident".to_owned());
        let asked = orders.clone();
        tokio::spawn(async move { asked.order(Command { actor, reason, order: pause }).await });
        tokio::task::yield_now().await;
        assert!(matches!(inbox.arrival().await, Arrival::Order(_)));
        let Arrival::Config(config) = inbox.arrival().await else { panic!("it comes second") };
        assert_eq!(config.name, "new".into());
        let none = futures::FutureExt::now_or_never(inbox.arrival());
        assert!(none.is_none(), "each arrives once");
    }
}
