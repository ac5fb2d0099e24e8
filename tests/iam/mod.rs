//! What IAM answers to one request under one policy, as far as the policies here go.
//!
//! Rule: what is not known here, an operator, a key or an element of a statement, denies.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate::policy::{Part, Place, document};

/// One action on one resource, and what AWS knows of the request. A key has several values only
/// where AWS gives a set, as of tag keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) action: String,
    pub(crate) resource: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) context: BTreeMap<String, BTreeSet<String>>,
}

/// What a story is permitted: by every configuration it has had, since what has left one is still to
/// be taken away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) cluster: String,
    pub(crate) configs: BTreeSet<String>,
    /// Where configurations were read from, but for files.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) sources: BTreeSet<String>,
    /// Whether a person has ordered a handover.
    pub(crate) handover: bool,
}

impl Scope {
    /// The policy that `tidegate export iam` prints for it.
    pub(crate) fn policy(&self, region: &str, account: &str) -> Value {
        let read = |text: &String| tidegate::config::load(text, "tidegate.yaml");
        let configs = self.configs.iter().map(read);
        let places = configs.flat_map(|config| match config {
            Ok(config) => {
                let places = config.clusters.iter().map(Place::of);
                let places = places.map(|place| place.keeping(&config));
                places
                    .map(|place| {
                        self.sources.iter().fold(place, |place, source| reading(place, source))
                    })
                    .collect()
            }
            // Without a configuration there is only looking.
            Err(_) => {
                vec![Place { cluster: self.cluster.clone(), ..Place::anywhere([Part::Observe]) }]
            }
        });
        let places = places.map(|place| Place {
            partition: "aws".to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            parts: place.parts.into_iter().chain(self.handover.then_some(Part::Handover)).collect(),
            ..place
        });
        let places: Vec<Place> = places.collect();
        let passed = [format!("arn:aws:iam::{account}:role/task")];
        serde_json::to_value(document(&places, &passed, &[])).expect("a document is plain data")
    }
}

/// `s3://BUCKET/KEY` or `ssm:NAME`.
fn reading(place: Place, source: &str) -> Place {
    match (source.strip_prefix("s3://"), source.strip_prefix("ssm:")) {
        (Some(object), _) => place.read_from_object(object),
        (_, Some(name)) => place.read_from_parameter(name),
        _ => place,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// By these statements.
    Allowed(Vec<String>),
    /// By this statement, or because none allows it.
    Denied(Option<String>),
    /// By something that is not known here.
    Unknown(String),
}

impl Verdict {
    pub(crate) fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Keys whose values requests here can have.
const KEYS: [&str; 9] = [
    "application-autoscaling:scalable-dimension",
    "application-autoscaling:service-namespace",
    "aws:TagKeys",
    "aws:RequestTag/",
    "aws:ResourceTag/",
    "ecs:CreateAction",
    "ecs:cluster",
    "elasticloadbalancing:CreateAction",
    "iam:PassedToService",
];

/// Settings of a group; those of a request are told by their presence.
const SETTINGS: &str = "autoscaling:";

/// An explicit denial wins, else what any statement allows.
pub(crate) fn evaluate(policy: &Value, asked: &Asked) -> Verdict {
    let mut allowed = Vec::new();
    for statement in policy["Statement"].as_array().into_iter().flatten() {
        let sid = statement["Sid"].as_str().unwrap_or("?").to_owned();
        match applies(statement, asked) {
            Err(what) => return Verdict::Unknown(format!("{sid}: {what}")),
            Ok(false) => {}
            Ok(true) if statement["Effect"] == "Deny" => return Verdict::Denied(Some(sid)),
            Ok(true) if statement["Effect"] == "Allow" => allowed.push(sid),
            Ok(true) => return Verdict::Unknown(format!("{sid}: {}", statement["Effect"])),
        }
    }
    if allowed.is_empty() { Verdict::Denied(None) } else { Verdict::Allowed(allowed) }
}

fn applies(statement: &Value, asked: &Asked) -> Result<bool, String> {
    for element in statement.as_object().into_iter().flat_map(|map| map.keys()) {
        if !["Sid", "Effect", "Action", "Resource", "Condition"].contains(&element.as_str()) {
            return Err(format!("element {element}"));
        }
    }
    let action = asked.action.to_lowercase();
    let mut of_action = list(&statement["Action"]).into_iter();
    let mut of_resource = list(&statement["Resource"]).into_iter();
    if !of_action.any(|pattern| is_like(&pattern.to_lowercase(), &action)) {
        return Ok(false);
    }
    if !of_resource.any(|pattern| is_like(pattern, &asked.resource)) {
        return Ok(false);
    }
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        for (key, values) in keys.as_object().into_iter().flatten() {
            if !holds(operator, key, &list(values), asked)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn holds(operator: &str, key: &str, values: &[&str], asked: &Asked) -> Result<bool, String> {
    let known = KEYS.iter().any(|known| match known.ends_with('/') {
        true => key.starts_with(known),
        false => key == *known,
    });
    let is_setting = key.starts_with(SETTINGS) && operator == "Null";
    if !known && !is_setting {
        return Err(format!("key {key}"));
    }
    let given = asked.context.get(key);
    let any = |of: fn(&str, &str) -> bool, given: &str| values.iter().any(|v| of(v, given));
    let one = |of: fn(&str, &str) -> bool| given.is_some_and(|all| all.iter().any(|g| any(of, g)));
    Ok(match operator {
        "StringEquals" => one(|value, given| value == given),
        "StringLike" => one(is_like),
        "ArnEquals" | "ArnLike" => one(is_like_arn),
        "Null" => values == [if given.is_none() { "true" } else { "false" }],
        "ForAnyValue:StringLike" => one(is_like),
        "ForAllValues:StringEquals" => given
            .is_none_or(|all| all.iter().all(|given| any(|value, given| value == given, given))),
        other => return Err(format!("operator {other}")),
    })
}

/// A string or a list of them.
fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// `*` for any characters, `?` for one.
fn is_like(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), next) => {
            is_like(&pattern[1..], text)
                || next.is_some_and(|next| is_like(pattern, &text[next.len_utf8()..]))
        }
        (Some('?'), Some(next)) => is_like(&pattern[1..], &text[next.len_utf8()..]),
        (Some(wanted), Some(next)) if wanted == next => {
            is_like(&pattern[wanted.len_utf8()..], &text[next.len_utf8()..])
        }
        _ => false,
    }
}

/// Each of the six parts of an ARN by itself.
fn is_like_arn(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.splitn(6, ':'), text.splitn(6, ':'));
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.collect(), text.collect());
    pattern.len() == text.len() && pattern.iter().zip(text).all(|(p, t)| is_like(p, t))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(action: &str, resource: &str, context: &[(&str, &[&str])]) -> Asked {
        let context = context.iter().map(|(key, values)| {
            ((*key).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        });
        Asked {
            action: action.to_owned(),
            resource: resource.to_owned(),
            context: context.collect(),
        }
    }

    fn statement(mut with: Value) -> Value {
        let defaults =
            json!({ "Sid": "It", "Effect": "Allow", "Action": ["ecs:A"], "Resource": "*" });
        for (key, value) in defaults.as_object().unwrap() {
            if with.get(key).is_none() {
                with[key] = value.clone();
            }
        }
        with
    }

    fn answer(statements: &[Value], asked: &Asked) -> Verdict {
        evaluate(&json!({ "Version": "2012-10-17", "Statement": statements }), asked)
    }

    #[test]
    fn actions_and_resources_match_by_wildcards() {
        let table = [
            ("ecs:A", "*", true),
            ("ECS:a", "*", true),
            ("ecs:*", "arn:aws:ecs:r:1:service/c/*", true),
            ("ecs:A", "arn:aws:ecs:*:*:service/*/web", true),
            ("ecs:A", "arn:aws:ecs:r:1:service/?/web", true),
            ("ecs:A", "arn:aws:ecs:r:1:service/d/*", false),
            ("ecs:A", "arn:aws:ecs:r:1:service/c/we", false),
            ("ecs:B", "*", false),
        ];
        let asked = ask("ecs:A", "arn:aws:ecs:r:1:service/c/web", &[]);
        for (action, resource, allowed) in table {
            let statement = statement(json!({ "Action": action, "Resource": [resource] }));
            assert_eq!(answer(&[statement], &asked).is_allowed(), allowed, "{action} {resource}");
        }
    }

    #[test]
    fn conditions_compare_what_the_request_has() {
        const TAG: &str = "aws:ResourceTag/t";
        const KEYS: &str = "aws:TagKeys";
        type Context = &'static [(&'static str, &'static [&'static str])];
        let table: &[(&str, &str, Value, Context, bool)] = &[
            ("StringEquals", TAG, json!(["a", "b"]), &[(TAG, &["b"])], true),
            ("StringEquals", TAG, json!("a"), &[(TAG, &["A"])], false),
            ("StringEquals", TAG, json!("a*"), &[(TAG, &["ab"])], false),
            ("StringEquals", TAG, json!("a"), &[], false),
            ("StringLike", TAG, json!("a*"), &[(TAG, &["ab"])], true),
            ("StringLike", TAG, json!("*"), &[], false),
            (
                "ArnEquals",
                "ecs:cluster",
                json!("arn:a:b:c:d:e/*"),
                &[("ecs:cluster", &["arn:a:b:c:d:e/f"])],
                true,
            ),
            (
                "ArnEquals",
                "ecs:cluster",
                json!("arn:*"),
                &[("ecs:cluster", &["arn:a:b:c:d:e"])],
                false,
            ),
            ("Null", TAG, json!("true"), &[], true),
            ("Null", TAG, json!(["true"]), &[(TAG, &["x"])], false),
            ("Null", TAG, json!(["false"]), &[(TAG, &["x"])], true),
            (
                "Null",
                "autoscaling:MaxSize",
                json!("true"),
                &[("autoscaling:MaxSize", &["3"])],
                false,
            ),
            ("ForAllValues:StringEquals", KEYS, json!(["a", "b"]), &[(KEYS, &["a"])], true),
            ("ForAllValues:StringEquals", KEYS, json!(["a", "b"]), &[(KEYS, &["a", "c"])], false),
            ("ForAllValues:StringEquals", KEYS, json!(["a"]), &[], true),
            ("ForAnyValue:StringLike", KEYS, json!("t:*"), &[(KEYS, &["a", "t:b"])], true),
            ("ForAnyValue:StringLike", KEYS, json!("t:*"), &[], false),
        ];
        for (operator, key, values, context, allowed) in table {
            let statement = statement(json!({ "Condition": { *operator: { *key: values } } }));
            let found = answer(&[statement], &ask("ecs:A", "*", context));
            assert_eq!(found.is_allowed(), *allowed, "{operator} {key} {values} {context:?}");
        }
    }

    #[test]
    fn all_conditions_of_a_statement_must_hold() {
        let condition = json!({
            "StringEquals": { "aws:ResourceTag/a": "1", "aws:ResourceTag/b": "2" },
            "Null": { "aws:TagKeys": "true" },
        });
        let statement = [statement(json!({ "Condition": condition }))];
        let both: &[(&str, &[&str])] =
            &[("aws:ResourceTag/a", &["1"]), ("aws:ResourceTag/b", &["2"])];
        assert!(answer(&statement, &ask("ecs:A", "*", both)).is_allowed());
        assert!(!answer(&statement, &ask("ecs:A", "*", &both[..1])).is_allowed());
    }

    #[test]
    fn nothing_is_allowed_by_itself_and_a_denial_wins() {
        let asked = ask("ecs:A", "*", &[]);
        assert_eq!(answer(&[], &asked), Verdict::Denied(None));
        let allow = statement(json!({ "Sid": "Yes" }));
        let deny = statement(json!({ "Sid": "No", "Effect": "Deny" }));
        let both = answer(&[allow.clone(), deny], &asked);
        assert_eq!(both, Verdict::Denied(Some("No".to_owned())));
        assert_eq!(answer(&[allow], &asked), Verdict::Allowed(vec!["Yes".to_owned()]));
    }

    #[test]
    fn what_is_not_known_denies() {
        for unknown in [
            json!({ "NotAction": "ecs:B" }),
            json!({ "Effect": "Maybe" }),
            json!({ "Condition": { "StringNotLike": { "aws:TagKeys": "a" } } }),
            json!({ "Condition": { "StringEquals": { "aws:SourceVpc": "a" } } }),
            json!({ "Condition": { "StringEqualsIfExists": { "aws:TagKeys": "a" } } }),
        ] {
            let found = answer(&[statement(unknown.clone())], &ask("ecs:A", "*", &[]));
            assert!(matches!(found, Verdict::Unknown(_)), "{unknown}: {found:?}");
        }
    }
}
