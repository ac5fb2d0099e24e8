//! Who is told of what happens.

/// One receiver of notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Unique in the file; names it on the command line and in metrics.
    pub name: String,
    pub to: Receiver,
}

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// JSON, signed with HMAC-SHA256.
    Webhook { url: String, secret: Secret },
    /// What Slack calls an incoming webhook; whoever knows its address may write there.
    Slack { url: Secret },
    /// A topic by its ARN, for whoever has subscribed to it.
    Sns { topic: String },
}

impl Receiver {
    /// Its key in the file, and the name of a target without one.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Sns { .. } => "sns",
        }
    }
}

/// Where a secret is; it is read each time it is needed, and never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The name of an environment variable.
    Env(String),
    /// The path of a file, such as a mounted secret.
    File(String),
}
