//! Orders of people on their way to the loop that carries them out.

use tokio::sync::{mpsc, oneshot};

use crate::model::{Command, Seq};

/// Orders that may wait at one time; more are refused at once.
const WAITING_MAX: usize = 32;

/// A command and whom to tell that it is journalled.
#[derive(Debug)]
pub struct Ordered {
    pub command: Command,
    pub done: oneshot::Sender<Result<Seq, String>>,
}

/// The sending side, cheap to clone.
#[derive(Clone, Debug)]
pub struct Orders(mpsc::Sender<Ordered>);

/// The loop's side.
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<Ordered>);

/// A bounded pair.
pub fn inbox() -> (Orders, Inbox) {
    let (orders, inbox) = mpsc::channel(WAITING_MAX);
    (Orders(orders), Inbox(inbox))
}

impl Orders {
    /// Hands an order over and waits until it is in the journal.
    pub async fn order(&self, command: Command) -> Result<Seq, String> {
        let (done, answer) = oneshot::channel();
        let busy = |_| "the control loop takes no orders just now".to_owned();
        self.0.try_send(Ordered { command, done }).map_err(busy)?;
        answer.await.map_err(|_| "the control loop has stopped".to_owned())?
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

    /// An order that is already waiting.
    pub fn waiting(&mut self) -> Option<Ordered> {
        self.0.try_recv().ok()
    }
}
