//! The SQS queue that EventBridge fills with what happens to a cluster.
//!
//! Rule: a message is deleted only after it was handed on, and what nobody understands is left to
//! the queue's dead letters. Nothing is lost if whoever waits here stops waiting.

use std::collections::{BTreeSet, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::clients::client;
use super::count::CallCounter;
use super::failure;
use crate::control::Clock;
use crate::eventbridge::told;
use crate::model::{Change, ClusterName, Gap};

/// How long SQS waits for a message before it answers with none: its own maximum.
const LONG_POLL: Duration = Duration::from_secs(20);
/// Most messages SQS hands out or deletes in one call.
const BATCH: i32 = 10;
/// Pause after the queue did not answer.
const AGAIN: Duration = Duration::from_secs(5);
/// Events whose second delivery is noticed.
const KNOWN_MAX: usize = 1_000;

/// One cluster's queue.
pub(super) struct Queue {
    source: Source,
    cluster: ClusterName,
    ear: Mutex<Ear>,
    /// When the queue last answered.
    until: std::sync::Mutex<Option<DateTime<Utc>>>,
}

#[derive(Clone)]
struct Source {
    sqs: Client,
    url: String,
}

/// What must not be lost when whoever waits is called away.
#[derive(Default)]
struct Ear {
    asking: Option<BoxFuture<'static, Result<Vec<Message>, Gap>>>,
    /// Handed on, and to be deleted with the next request.
    done: Vec<String>,
    known: Known,
    deaf: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("url", &self.source.url).finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(
        config: &SdkConfig,
        counter: &CallCounter,
        url: &str,
        cluster: ClusterName,
    ) -> Self {
        let limit = LONG_POLL + Duration::from_secs(10);
        let limits = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .read_timeout(limit)
            .operation_timeout(limit)
            .build();
        let retry = RetryConfig::disabled();
        let sqs = client!(aws_sdk_sqs, config, [counter], retry, limits, "tidegate-queue");
        let (ear, until) = (Mutex::default(), std::sync::Mutex::default());
        let source = Source { sqs, url: url.to_owned() };
        Self { source, cluster, ear, until }
    }

    /// When the queue last answered; `None` while it does not.
    pub(super) fn until(&self) -> Option<DateTime<Utc>> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for news. May be dropped at any moment: what was asked for goes on being asked for.
    pub(super) async fn changes(&self, clock: &impl Clock) -> Vec<Change> {
        let mut ear = self.ear.lock().await;
        loop {
            if ear.asking.is_none() {
                let done = std::mem::take(&mut ear.done);
                ear.asking = Some(self.source.clone().ask(done).boxed());
            }
            let Some(asking) = &mut ear.asking else { continue };
            let answer = asking.await;
            ear.asking = None;
            self.answered(answer.is_ok().then(|| clock.now()));
            match answer {
                Ok(messages) => {
                    ear.deaf = false;
                    let changes = ear.take(messages, &self.cluster);
                    if !changes.is_empty() {
                        return changes;
                    }
                }
                Err(gap) => {
                    if !std::mem::replace(&mut ear.deaf, true) {
                        let (url, cluster) = (&self.source.url, &self.cluster);
                        tracing::warn!(%cluster, url, error = %gap.failure, "the queue of events");
                    }
                    clock.sleep(AGAIN).await;
                }
            }
        }
    }

    fn answered(&self, at: Option<DateTime<Utc>>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

impl Ear {
    /// Without a pause, so that nothing of it can be lost halfway.
    fn take(&mut self, messages: Vec<Message>, cluster: &ClusterName) -> Vec<Change> {
        let mut changes = Vec::new();
        for message in messages {
            match told(message.body().unwrap_or_default(), cluster) {
                Ok(told) => {
                    if self.known.is_new(&told.id) {
                        changes.extend(told.change);
                    }
                    self.done.extend(message.receipt_handle);
                }
                Err(error) => tracing::warn!(%cluster, %error, "left to the dead letters"),
            }
        }
        changes
    }
}

impl Source {
    /// Deletes what was handed on and waits for more.
    async fn ask(self, done: Vec<String>) -> Result<Vec<Message>, Gap> {
        let entries = done.into_iter().enumerate().filter_map(|(n, receipt)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
            entry.receipt_handle(receipt).build().ok()
        });
        let entries: Vec<_> = entries.collect();
        if !entries.is_empty() {
            let delete = self.sqs.delete_message_batch().queue_url(&self.url);
            // What is not deleted comes again and is known then.
            if let Err(error) = delete.set_entries(Some(entries)).send().await {
                let gap = failure::gap("sqs:DeleteMessage", &error);
                tracing::warn!(url = self.url, error = %gap.failure, "events not deleted");
            }
        }
        let seconds = i32::try_from(LONG_POLL.as_secs()).unwrap_or(i32::MAX);
        let ask = self.sqs.receive_message().queue_url(&self.url).max_number_of_messages(BATCH);
        let answer = ask.wait_time_seconds(seconds).send().await;
        let answer = answer.map_err(|error| failure::gap("sqs:ReceiveMessage", &error))?;
        Ok(answer.messages.unwrap_or_default())
    }
}

/// The last events, by their ids.
#[derive(Default)]
struct Known {
    order: VecDeque<String>,
    ids: BTreeSet<String>,
}

impl Known {
    fn is_new(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
