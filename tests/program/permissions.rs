//! IAM: the table of permissions keeps to the calls there are, and the documents made of it to the
//! grammar of IAM and to what AWS honours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use serde_json::Value;
use tidegate::policy::{self, Asked, SIZE_MAX, grants};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The crate of a client, the field that holds it, and the service as IAM names it.
const CLIENTS: [(&str, &str, &str); 10] = [
    ("aws_sdk_applicationautoscaling", "targets", "application-autoscaling"),
    ("aws_sdk_autoscaling", "autoscaling", "autoscaling"),
    ("aws_sdk_cloudwatch", "cloudwatch", "cloudwatch"),
    ("aws_sdk_dynamodb", "dynamodb", "dynamodb"),
    ("aws_sdk_dynamodb", "transactions", "dynamodb"),
    ("aws_sdk_ec2", "ec2", "ec2"),
    ("aws_sdk_ecr", "ecr", "ecr"),
    ("aws_sdk_ecs", "ecs", "ecs"),
    ("aws_sdk_elasticloadbalancingv2", "elbv2", "elasticloadbalancing"),
    ("aws_sdk_sqs", "sqs", "sqs"),
];

/// Operations that AWS permits as another, or as each of their parts.
const PERMITTED_AS: [(&str, &str); 2] = [
    ("dynamodb:TransactWriteItems", "dynamodb:PutItem"),
    ("sqs:DeleteMessageBatch", "sqs:DeleteMessage"),
];

/// Whoever has credentials may ask it (IAM User Guide).
const PERMITTED_TO_ALL: &str = "sts:GetCallerIdentity";

/// What is asked by a provider of the SDK, not by a client: what names it, and the permission.
const PROVIDERS: [(&str, &str); 1] = [("AssumeRoleProvider", "sts:AssumeRole")];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = all.filter(|path| !path.ends_with("tests") && !path.ends_with("tests.rs"));
    all.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Files that speak to AWS by their path in `src`, without white space.
fn adapter() -> BTreeMap<String, String> {
    let src = Path::new(ROOT).join("src");
    let files = sources(&src).into_iter().map(|path| {
        let name = path.strip_prefix(&src).unwrap().with_extension("");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let product = text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
        (name.to_string_lossy().into_owned(), product.split_whitespace().collect::<String>())
    });
    files.filter(|(name, text)| name.starts_with("aws/") || text.contains("aws_sdk_")).collect()
}

/// `update_service` as `UpdateService`.
fn camel(snake: &str) -> String {
    let parts = snake.split('_').map(|part| {
        let (first, rest) = part.split_at(1);
        first.to_uppercase() + rest
    });
    parts.collect()
}

/// Every operation that the text asks a client for.
fn calls(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, client, service) in CLIENTS {
        for rest in text.split(&format!(".{client}.")).skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if rest[name.len()..].starts_with("()") {
                let asked = format!("{service}:{}", camel(&name));
                let other = PERMITTED_AS.iter().find(|(operation, _)| *operation == asked);
                found.insert(other.map_or(asked, |(_, action)| (*action).to_owned()));
            }
        }
    }
    let signed = text.split(".ask_signed(\"").skip(1);
    found.extend(signed.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    let providers = PROVIDERS.iter().filter(|(name, _)| text.contains(name));
    found.extend(providers.map(|(_, action)| (*action).to_owned()));
    found
}

#[test]
fn each_call_has_a_permission_and_each_permission_a_call() {
    let files = adapter();
    let made: BTreeSet<(String, String)> = files
        .iter()
        .flat_map(|(file, text)| calls(text).into_iter().map(|call| (call, file.clone())))
        .collect();
    let asked: BTreeSet<&str> = made.iter().map(|(call, _)| call.as_str()).collect();
    let known: BTreeSet<&str> = rows().map(|row| row.action).collect();
    let missing = asked.difference(&known).filter(|action| **action != PERMITTED_TO_ALL);
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "src/policy has no row for {missing:?}");
    for row in rows() {
        match row.asked {
            Asked::By(file) => {
                let there = made.contains(&(row.action.to_owned(), file.to_owned()));
                assert!(there, "src/{file}.rs does not call {}", row.action);
            }
            Asked::With(other) => {
                assert!(asked.contains(other), "nothing calls {other}");
                assert!(!asked.contains(row.action), "{} is called", row.action);
            }
        }
    }
}

#[test]
fn the_clients_that_are_made_are_those_looked_for() {
    let all = adapter().into_values().collect::<String>();
    let made = all.split("aws_sdk_").skip(1).filter_map(|rest| rest.split_once("::Client"));
    let made = made.filter(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric()));
    let made: BTreeSet<String> = made.map(|(name, _)| format!("aws_sdk_{name}")).collect();
    let known = CLIENTS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(made, known, "CLIENTS says how their calls are found");
}

/// Refusals name the permission by these words, so each must be one that was asked.
#[test]
fn each_call_is_named_as_the_permission_it_needs() {
    let files = adapter();
    let all = files.values().map(String::as_str).collect::<String>();
    for call in calls(&all).iter().filter(|call| *call != "sts:AssumeRole") {
        assert!(all.contains(&format!("\"{call}\"")), "no refusal of {call} is named so");
    }
    let is_call = |word: &&str| {
        let (service, operation) = word.split_once(':').unwrap_or_default();
        CLIENTS.iter().any(|(.., of)| *of == service)
            && operation.starts_with(|c: char| c.is_ascii_uppercase())
            && operation.chars().all(|c| c.is_ascii_alphanumeric())
    };
    for word in all.split('"').skip(1).step_by(2).filter(is_call) {
        assert!(calls(&all).contains(word), "{word} is named and never called");
    }
}

fn rows() -> impl Iterator<Item = &'static policy::Permission> {
    grants().flat_map(|grant| grant.actions)
}

#[test]
fn the_documents_are_those_of_the_table() {
    let folder = Path::new(ROOT).join("policies");
    let files = policy::files();
    for (name, document) in &files {
        expect_file![folder.join(name)].assert_eq(&document.json());
    }
    let there = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let known: BTreeSet<_> = files.into_iter().map(|(name, _)| name).collect();
    let json = there.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".json"));
    assert_eq!(json.collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_page_of_permissions_is_that_of_the_table() {
    let path = Path::new(ROOT).join("docs/permissions.md");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find("## What is written").expect("the heading of the first table");
    let whole = text[..start].to_owned() + &policy::page();
    expect_file![path].assert_eq(&whole);
}

/// What AWS knows of an action.
struct Known {
    has_resources: bool,
    keys: BTreeSet<String>,
}

fn reference() -> BTreeMap<String, Known> {
    let csv = include_str!("../iam/actions.csv");
    let rows = csv.lines().skip(1).map(|line| {
        let [action, _, resources, keys] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
        let keys = keys.split(' ').map(str::to_owned).collect();
        (action.to_owned(), Known { has_resources: !resources.is_empty(), keys })
    });
    rows.collect()
}

/// `aws:ResourceTag/tidegate:cluster` is a key `aws:ResourceTag/${TagKey}`.
fn general(key: &str) -> String {
    match key.split_once('/') {
        Some((start, _)) => format!("{start}/${{TagKey}}"),
        None => key.to_owned(),
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn each_document_keeps_to_the_grammar_and_to_what_aws_honours() {
    let reference = reference();
    let everything = {
        let all: BTreeSet<policy::Part> =
            <policy::Part as strum::IntoEnumIterator>::iter().collect();
        policy::document(&[policy::Place::anywhere(all)], &[], &[])
    };
    let all = policy::files().into_iter().chain([("everything".to_owned(), everything)]);
    for (name, document) in all {
        let size = document.size();
        assert!(size <= SIZE_MAX || name == "everything", "{name} has {size} characters");
        let json: Value = serde_json::from_str(&document.json()).unwrap();
        assert_eq!(json["Version"], "2012-10-17");
        let mut sids = BTreeSet::new();
        for statement in json["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            assert!(sid.chars().all(|c| c.is_ascii_alphanumeric()), "{name}: {sid}");
            assert!(sids.insert(sid), "{name} has two statements {sid}");
            if name.starts_with("trust") {
                assert_eq!(strings(&statement["Action"]), ["sts:AssumeRole"]);
                assert!(statement["Principal"].is_object() && statement["Condition"].is_object());
                continue;
            }
            let denies = statement["Effect"] == "Deny";
            let bound = name.starts_with("permissions-boundary");
            let resources = strings(&statement["Resource"]);
            assert!(!resources.is_empty() && statement.get("Principal").is_none());
            let conditions = statement["Condition"].as_object().into_iter().flatten();
            let keys = conditions.flat_map(|(_, keys)| keys.as_object().unwrap().keys());
            let keys: Vec<String> = keys.map(|key| general(key)).collect();
            for action in strings(&statement["Action"]) {
                let place = format!("{name}, {sid}, {action}");
                assert!(!action.contains('*'), "{place}: every action is named");
                let known = reference.get(action);
                let known =
                    known.unwrap_or_else(|| panic!("{place}: not in tests/iam/actions.csv"));
                if denies || bound {
                    continue;
                }
                let any = resources.contains(&"*");
                assert_eq!(any, !known.has_resources, "{place}: `*` only without resource types");
                assert!(!any || resources == ["*"], "{place}: `*` stands alone");
                for key in &keys {
                    assert!(known.keys.contains(key), "{place}: AWS gives no key {key}");
                }
            }
            for resource in resources.iter().filter(|resource| **resource != "*") {
                assert_eq!(resource.split(':').next(), Some("arn"), "{name}, {sid}: {resource}");
                assert!(resource.split(':').count() >= 6, "{name}, {sid}: {resource}");
            }
        }
    }
}

/// What is written and has a resource is bound to a cluster, a name or a tag.
#[test]
fn no_write_is_allowed_on_everything() {
    for (name, document) in policy::files() {
        let free = document
            .statement
            .iter()
            .filter(|clause| clause.effect == policy::Effect::Allow && clause.resource == ["*"]);
        let actions = free.flat_map(|clause| &clause.action);
        let writes: Vec<_> = actions.filter(|action| !is_read(action)).collect();
        assert!(
            name.starts_with("permissions-boundary") || writes.is_empty(),
            "{name}: {writes:?}"
        );
    }
}

fn is_read(action: &str) -> bool {
    let operation = action.split(':').nth(1).unwrap();
    ["Describe", "List", "Get"].iter().any(|read| operation.starts_with(read))
}

#[test]
fn a_role_that_may_only_raise_cannot_take_away() {
    let files: BTreeMap<_, _> = policy::files().into_iter().collect();
    let allowed = |name: &str| -> BTreeSet<String> {
        let clauses = files[name].statement.iter();
        let allow = clauses.filter(|clause| clause.effect == policy::Effect::Allow);
        allow.flat_map(|clause| clause.action.clone()).collect()
    };
    let expected = ["autoscaling:SetDesiredCapacity", "ec2:ModifySpotFleetRequest"];
    assert_eq!(allowed("scale-out.json"), expected.map(str::to_owned).into());
    assert!(allowed("observe.json").iter().all(|action| is_read(action)));
}
