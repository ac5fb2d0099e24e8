//! Who is told, as it may be written.

use crate::config::names::{TargetName, TopicArn, Variable, WebhookUrl};
use crate::config::read::table;

table! {
    /// A receiver of notifications: `webhook`, `slack` or `sns`.
    #[schemars(extend("oneOf" = [
        {"required": ["webhook"]},
        {"required": ["slack"]},
        {"required": ["sns"]},
    ]))]
    RawTarget {
        /// Unique name. Left out: the kind of receiver.
        name: TargetName,
        /// A server that gets JSON, signed.
        webhook: RawWebhook,
        /// An incoming webhook of Slack, or of what understands the same.
        slack: RawSlack,
        /// ARN of a topic of SNS.
        sns: TopicArn,
    }
}

table! {
    /// A server that gets JSON with a signature over time and body.
    RawWebhook {
        /// `https://…`; `http://` only on this machine.
        #[schemars(required)]
        url: WebhookUrl,
        /// What the signature is made with.
        #[schemars(required)]
        secret: RawSecret,
    }
}

table! {
    /// An incoming webhook of Slack.
    RawSlack {
        /// Its address, which is a secret.
        #[schemars(required)]
        url: RawSecret,
    }
}

table! {
    /// Where a secret is: either `env` or `file`. It is never written here itself.
    #[schemars(extend("oneOf" = [
        {"required": ["env"]},
        {"required": ["file"]},
    ]))]
    RawSecret {
        /// Name of an environment variable.
        env: Variable,
        /// Path of a file; read each time, so that it may be replaced.
        file: String,
    }
}
