//! A rule's actions as the AWS CLI takes them (ELB API reference, `Action`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::{RuleAction, RuleImage, TargetGroupArn};

/// All of them, in order.
pub(super) fn actions(image: &RuleImage) -> Value {
    let one = |(order, action): (usize, &RuleAction)| {
        let mut said = match action {
            RuleAction::Forward { weights, stickiness_seconds } => {
                forward(weights, *stickiness_seconds)
            }
            RuleAction::FixedResponse { status, content_type, body } => json!({
                "Type": "fixed-response",
                "FixedResponseConfig": {
                    "StatusCode": status.to_string(), "ContentType": content_type,
                    "MessageBody": body,
                },
            }),
            RuleAction::Redirect { status, location } => redirect(*status, location),
            RuleAction::Other { kind, json } => {
                serde_json::from_str(json).unwrap_or_else(|_| json!({ "Type": kind }))
            }
        };
        said["Order"] = (order + 1).into();
        said
    };
    image.actions.iter().enumerate().map(one).collect()
}

fn forward(weights: &BTreeMap<TargetGroupArn, u32>, stickiness_seconds: Option<u32>) -> Value {
    let groups: Vec<_> = weights
        .iter()
        .map(|(group, weight)| json!({ "TargetGroupArn": group, "Weight": weight }))
        .collect();
    let mut config = json!({ "TargetGroups": groups });
    if let Some(seconds) = stickiness_seconds {
        config["TargetGroupStickinessConfig"] =
            json!({ "Enabled": true, "DurationSeconds": seconds });
    }
    json!({ "Type": "forward", "ForwardConfig": config })
}

/// `#{protocol}://#{host}:#{port}/#{path}?#{query}`.
fn redirect(status: u16, location: &str) -> Value {
    let (protocol, rest) = location.split_once("://").unwrap_or(("#{protocol}", location));
    let (authority, rest) = rest.split_once('/').unwrap_or((rest, "#{path}"));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "#{port}"));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    json!({
        "Type": "redirect",
        "RedirectConfig": {
            "Protocol": protocol, "Host": host, "Port": port, "Path": format!("/{path}"),
            "Query": query, "StatusCode": format!("HTTP_{status}"),
        },
    })
}
