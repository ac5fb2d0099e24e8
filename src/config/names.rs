//! Names and ids as AWS spells them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::alb::is_url;
use super::error::Problems;
use super::node::{Node, Value};
use super::read::{Read, needs};
use super::{AlbOidc, Like};
use crate::model::{ClusterName, CutoverName, ListenerArn, RuleArn, ServiceName};

impl Read for String {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = match &node.value {
            Value::Text(text)
                if text.chars().any(char::is_control) || text.trim() != text || text.is_empty() =>
            {
                let message = "is empty or has spaces or control characters around or in it";
                problems.add(node.place, path, message, "write it on one line, without them");
                return None;
            }
            Value::Text(text) => return Some(text.clone()),
            Value::Whole(number) => format!("write it in quotes: \"{number}\""),
            Value::Flag(flag) => format!("write it in quotes: \"{flag}\""),
            Value::Fraction(number) => format!("write it in quotes: \"{number}\""),
            Value::Null => "write one, or leave the key out".to_owned(),
            Value::List(_) | Value::Map(_) => "write one name".to_owned(),
        };
        problems.add(node.place, path, needs("text", &node.value), remedy);
        None
    }
}

/// Text of which `fits` is true.
pub(super) fn checked(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    (what, remedy): (&str, &str),
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    let text = String::read(node, path, problems)?;
    if fits(&text) {
        return Some(text);
    }
    problems.add(node.place, path, format!("`{text}` is no {what}"), remedy);
    None
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $remedy:literal, $fits:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, schemars::JsonSchema)]
        #[schemars(transparent, inline)]
        pub(in crate::config) struct $name(pub(in crate::config) String);

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::node::Node,
                path: &str,
                problems: &mut $crate::config::error::Problems,
            ) -> Option<Self> {
                let what = ($what, $remedy);
                $crate::config::names::checked(node, path, problems, what, $fits).map(Self)
            }
        }
    )*};
}
pub(super) use texts;

texts! {
    // 1 to 255 characters from 33 to 126 without `:` (Auto Scaling API reference); the prefix is
    // how a fleet is told from a group elsewhere.
    GroupName: "name of an Auto Scaling group",
        "write the group's name as `aws autoscaling describe-auto-scaling-groups` shows it",
        |text| (1..=255).contains(&text.len())
            && text.bytes().all(|byte| (33..=126).contains(&byte) && byte != b':')
            && !text.starts_with("spot-fleet/");
    TargetName: "name of a target",
        "write up to 32 letters, digits, `-` and `_`",
        |text| (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    Variable: "name of an environment variable",
        "write it as a shell does, without `$`: letters, digits and `_`",
        |text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !text.starts_with(|first: char| first.is_ascii_digit());
    WebhookUrl: "address that notifications may go to",
        "write `https://HOST/PATH`, without user or password; `http://` only to `localhost`, \
         `127.0.0.1` or `[::1]`",
        is_webhook;
    TopicArn: "ARN of an SNS topic",
        "write it in full: `arn:aws:sns:REGION:ACCOUNT:NAME`; topics that end in `.fifo` take no \
         notices",
        is_topic;
    FleetId: "Spot Fleet request id",
        "write the id, which begins with `sfr-`, as `aws ec2 describe-spot-fleet-requests` shows it",
        |text| text.len() > 4 && text.starts_with("sfr-") && text.bytes().all(is_word);
    Region: "AWS Region",
        "write its code, such as `eu-west-1`",
        |text| text.contains('-') && text.bytes().all(|byte| byte.is_ascii_lowercase()
            || byte.is_ascii_digit() || byte == b'-');
    RoleArn: "ARN of an IAM role",
        "write it in full: `arn:aws:iam::ACCOUNT:role/NAME`",
        is_role;
    // 2 to 1224 of these characters (STS API reference, AssumeRole).
    ExternalId: "external id",
        "write 2 to 1224 letters, digits and any of `_+=,.@:/-`",
        |text| (2..=1224).contains(&text.len())
            && text.bytes().all(|byte| is_word(byte) || b"+=,.@:/".contains(&byte));
    // 1 to 255 printable characters (PutMetricAlarm, API reference).
    AlarmName: "name of a CloudWatch alarm",
        "write the alarm's name, not its ARN, as `aws cloudwatch describe-alarms` shows it",
        |text| text.chars().count() <= 255 && !text.starts_with("arn:");
    // Of the partitions whose key servers are documented.
    AlbArn: "ARN of an Application Load Balancer",
        "write it in full: `arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID`",
        |text| AlbOidc::keys_url(text).is_some();
    Issuer: "issuer",
        "write it as the load balancer has it; it begins with `https://`",
        |text| text.len() <= 256 && text.starts_with("https://")
            && !text.chars().any(char::is_whitespace);
    ClientId: "client id",
        "write it as the load balancer has it",
        |text| (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    ClaimName: "name of a claim",
        "write the claim's name, such as `groups`",
        |text| (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    // 3 to 255 of these characters (DynamoDB API reference, CreateTable).
    TableName: "name of a DynamoDB table",
        "write the table's name, not its ARN: 3 to 255 letters, digits and any of `_-.`",
        |text| (3..=255).contains(&text.len())
            && text.bytes().all(|byte| is_word(byte) || byte == b'.');
    Image: "container image",
        "write it as Docker pulls it: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG`",
        |text| text.len() <= 512 && !text.chars().any(char::is_whitespace);
    // 1 to 255 of these characters (ContainerDefinition, API reference).
    ContainerName: "name of a container",
        "write it as in the task definition: letters, digits, `-` and `_`",
        is_ecs_name;
    GateName: "name of a gate",
        "write 1 to 64 letters, digits, `-` and `_`",
        |text| text.len() <= 64 && is_ecs_name(text);
}

/// Letters, digits, hyphens and underscores, as ECS allows them in names.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// 1 to 255 characters that ECS allows in names of clusters and services.
pub(super) fn is_ecs_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(is_word)
}

/// Where names lead is asked again when something is sent.
fn is_webhook(text: &str) -> bool {
    let Some(plain) = text.strip_prefix("http://") else {
        return text.starts_with("https://") && is_url(text);
    };
    let host = plain.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |h| h.0);
    is_url(text) && ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

fn is_topic(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts[..], ["arn", partition, "sns", region, account, name]
        if partition.starts_with("aws")
            && region.contains('-')
            && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && (1..=256).contains(&name.len())
            && name.bytes().all(is_word))
}

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts[..], ["arn", partition, "iam", "", account, role]
        if partition.starts_with("aws")
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && role.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
}

/// What a service's name must be, for a place where it is a key.
pub(super) const SERVICE_REMEDY: &str =
    "write the service's name, not its ARN: letters, digits, `-` and `_`";

impl Read for ServiceName {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        checked(node, path, problems, ("name of an ECS service", SERVICE_REMEDY), is_ecs_name)
            .map(Self::new)
    }
}

impl Read for ClusterName {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = "write the cluster's name, not its ARN: letters, digits, `-` and `_`";
        checked(node, path, problems, ("name of an ECS cluster", remedy), is_ecs_name)
            .map(Self::new)
    }
}

impl Read for CutoverName {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let what = ("name of a cutover", "write 1 to 64 letters, digits, `-` and `_`");
        let fits = |text: &str| text.len() <= 64 && is_ecs_name(text);
        checked(node, path, problems, what, fits).map(Self::new)
    }
}

/// The Region, and what follows `KIND/app/`, of an ARN that belongs to an Application Load
/// Balancer; `None`: it does not, or is not made of so many ids.
fn load_balancer_part<'a>(arn: &'a str, kind: &str, ids: usize) -> Option<(&'a str, &'a str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "elasticloadbalancing", region, account, resource] = parts[..] else {
        return None;
    };
    let path = resource.strip_prefix(kind)?.strip_prefix("/app/")?;
    let word = |part: &str| !part.is_empty() && part.bytes().all(is_word);
    let fits = partition.starts_with("aws")
        && word(region)
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && path.split('/').count() == ids
        && path.split('/').all(word);
    fits.then_some((region, path))
}

/// The Region of a listener.
pub(super) fn region_of(listener: &ListenerArn) -> Option<&str> {
    load_balancer_part(listener.as_str(), "listener", 3).map(|(region, _)| region)
}

/// The load balancer of a listener, as far as it tells it from others.
pub(super) fn balancer_of(listener: &ListenerArn) -> Option<&str> {
    listener.as_str().rsplit_once('/').map(|(balancer, _)| balancer)
}

/// Whether a rule belongs to a listener, by their ARNs.
pub(super) fn is_rule_of(rule: &RuleArn, listener: &ListenerArn) -> bool {
    let of = |arn: &str| arn.replacen(":listener-rule/", ":listener/", 1);
    rule.as_str().rsplit_once('/').is_some_and(|(arn, _)| of(arn) == listener.as_str())
}

impl Read for ListenerArn {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = "write it in full, as `aws elbv2 describe-listeners` shows it: \
                      `arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/NAME/ID/ID`";
        let what = ("ARN of a listener of an Application Load Balancer", remedy);
        let fits = |text: &str| load_balancer_part(text, "listener", 3).is_some();
        checked(node, path, problems, what, fits).map(Self::new)
    }
}

impl Read for RuleArn {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = "write it in full, as `aws elbv2 describe-rules` shows it: \
                      `arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener-rule/app/NAME/ID/ID/ID`";
        let what = ("ARN of a listener rule of an Application Load Balancer", remedy);
        let fits = |text: &str| load_balancer_part(text, "listener-rule", 4).is_some();
        checked(node, path, problems, what, fits).map(Self::new)
    }
}

/// What headroom is measured by: `largest`, or a service's name.
impl Read for Like {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == Self::LARGEST => Some(Self::LargestTask),
            _ => ServiceName::read(node, path, problems).map(Self::TasksOf),
        }
    }
}

impl JsonSchema for Like {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Like".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
