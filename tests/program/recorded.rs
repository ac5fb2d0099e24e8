//! What stories against the local AWS have asked for, held against the policies: all of it is
//! allowed, and no statement could be left out.
//!
//! The records are written by those stories; `tests/iam/SOURCE.md` says how.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::policy::{NEVER, Part, grants};

use crate::iam::{Asked, Scope, Verdict, evaluate};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "111122223333";

#[derive(Deserialize)]
struct Story {
    #[serde(skip)]
    name: String,
    scope: Scope,
    asked: Vec<Asked>,
}

fn json_files(folder: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let all = all.map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

fn stories() -> Vec<Story> {
    let all = json_files("tests/iam/recorded").into_iter().map(|path| {
        let mut story: Story = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        story.name = path.file_stem().unwrap().to_string_lossy().into_owned();
        story
    });
    all.collect()
}

/// Sids of the statements that allow something.
fn sids(policy: &Value) -> Vec<String> {
    let all = policy["Statement"].as_array().unwrap().iter();
    let allow = all.filter(|statement| statement["Effect"] == "Allow");
    allow.map(|statement| statement["Sid"].as_str().unwrap().to_owned()).collect()
}

fn without(policy: &Value, sid: &str) -> Value {
    let mut policy = policy.clone();
    policy["Statement"].as_array_mut().unwrap().retain(|statement| statement["Sid"] != sid);
    policy
}

/// Statements without which something that was allowed is denied.
fn needed<'a>(policy: &Value, asked: impl Iterator<Item = &'a Asked> + Clone) -> BTreeSet<String> {
    let mut allowed = asked.filter(|asked| evaluate(policy, asked).is_allowed());
    let allowed: Vec<_> = allowed.by_ref().collect();
    let is_needed = |sid: &String| {
        let less = without(policy, sid);
        allowed.iter().any(|asked| !evaluate(&less, asked).is_allowed())
    };
    sids(policy).into_iter().filter(is_needed).collect()
}

#[test]
fn every_request_of_every_story_is_allowed_by_the_policy_of_its_configuration() {
    for Story { name, scope, asked } in stories() {
        let policy = scope.policy(REGION, ACCOUNT);
        for asked in asked {
            let verdict = evaluate(&policy, &asked);
            assert!(verdict.is_allowed(), "{name}: {asked:?}: {verdict:?}");
        }
    }
}

#[test]
fn a_policy_without_one_of_its_statements_denies_what_a_story_needs() {
    let mut all = BTreeSet::new();
    for Story { scope, asked, .. } in stories() {
        all.extend(needed(&scope.policy(REGION, ACCOUNT), asked.iter()));
    }
    let known: BTreeSet<String> = grants().map(|grant| grant.sid.to_owned()).collect();
    let spare: Vec<_> = known.difference(&all).map(String::as_str).collect();
    // The local AWS has no roles to assume.
    assert_eq!(spare, ["EnterScopes"]);
}

/// A committed document with its placeholders filled in.
fn filled(path: &Path, cluster: &str) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let text = text.replace("${Partition}", "aws").replace("${Region}", REGION);
    let text = text.replace("${Account}", ACCOUNT).replace("${Cluster}", cluster);
    serde_json::from_str(&text.replace("${TaskRole}", "task")).unwrap()
}

/// As it would be asked where the owners of groups, fleets, listeners, rules and target groups have
/// tagged them for this cluster.
fn tagged(asked: &Asked, cluster: &str) -> Asked {
    let mut asked = asked.clone();
    if ["autoscaling:", "elasticloadbalancing:", "ec2:"]
        .iter()
        .any(|of| asked.action.starts_with(of))
    {
        let tag = asked.context.entry("aws:ResourceTag/tidegate:cluster".to_owned());
        tag.or_default().insert(cluster.to_owned());
    }
    asked
}

#[test]
fn the_documents_by_kind_of_action_allow_the_same_and_need_each_statement() {
    let parts: BTreeSet<String> =
        <Part as strum::IntoEnumIterator>::iter().map(|part| part.to_string()).collect();
    let files = json_files("policies")
        .into_iter()
        .filter(|path| parts.contains(path.file_stem().unwrap().to_string_lossy().as_ref()));
    let files: Vec<PathBuf> = files.collect();
    let mut needed_of: BTreeMap<&Path, BTreeSet<String>> = BTreeMap::new();
    for Story { name, scope: Scope { cluster, .. }, asked } in stories() {
        let asked: Vec<Asked> = asked.iter().map(|asked| tagged(asked, &cluster)).collect();
        let documents: Vec<Value> = files.iter().map(|path| filled(path, &cluster)).collect();
        for asked in &asked {
            let allowed = documents.iter().any(|document| evaluate(document, asked).is_allowed());
            assert!(allowed, "{name}: {asked:?}");
        }
        for (path, document) in files.iter().zip(&documents) {
            needed_of.entry(path).or_default().extend(needed(document, asked.iter()));
        }
    }
    for path in &files {
        let all: BTreeSet<String> = sids(&filled(path, "c")).into_iter().collect();
        assert_eq!(needed_of[path.as_path()], all, "{}", path.display());
    }
}

/// The boundary bounds: it is no second list of what is needed.
#[test]
fn the_permissions_boundary_leaves_room_for_every_request() {
    let path = Path::new(ROOT).join("policies/permissions-boundary.json");
    for Story { name, scope, asked } in stories() {
        let boundary = filled(&path, &scope.cluster);
        for asked in asked {
            assert!(evaluate(&boundary, &asked).is_allowed(), "{name}: {asked:?}");
        }
    }
}

fn ask(action: &str, resource: &str, context: Value) -> Asked {
    let of = json!({ "action": action, "resource": resource, "context": context });
    serde_json::from_value(of).unwrap()
}

/// Even a role that may do everything besides.
#[test]
fn what_is_never_done_is_denied_whatever_else_is_allowed() {
    let our_tag = json!({ "aws:TagKeys": ["tidegate:purpose"] });
    let other_tag = json!({ "aws:TagKeys": ["team"] });
    let making = json!({
        "aws:TagKeys": ["tidegate:purpose"],
        "elasticloadbalancing:CreateAction": ["CreateRule"],
    });
    let of_fleet = json!({ "aws:ResourceTag/aws:ec2spot:fleet-request-id": ["sfr-1"] });
    let table = [
        ("elasticloadbalancing:RemoveTags", our_tag.clone(), Some("NeverRelabel")),
        ("elasticloadbalancing:AddTags", our_tag.clone(), Some("NeverRelabel")),
        ("elasticloadbalancing:AddTags", making, None),
        ("autoscaling:DeleteTags", our_tag, Some("NeverRelabel")),
        ("autoscaling:DeleteTags", other_tag, None),
        ("autoscaling:DeleteAutoScalingGroup", json!({}), Some("NeverDelete")),
        ("elasticloadbalancing:DeleteLoadBalancer", json!({}), Some("NeverDelete")),
        ("ecs:DeleteCluster", json!({}), Some("NeverDelete")),
        ("ec2:TerminateInstances", json!({}), Some("NeverEndOthers")),
        ("ec2:TerminateInstances", of_fleet, None),
    ];
    for path in json_files("policies") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if ["observe", "state"].contains(&stem.as_str()) || stem.starts_with("trust") {
            continue;
        }
        let mut policy = filled(&path, "c");
        let all = json!({ "Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*" });
        policy["Statement"].as_array_mut().unwrap().push(all);
        for (action, context, by) in &table {
            let asked = ask(action, "arn:aws:any:us-east-1:1:thing", context.clone());
            match (evaluate(&policy, &asked), by) {
                (Verdict::Allowed(_), None) => {}
                (Verdict::Denied(Some(sid)), Some(by)) if sid == *by => {}
                (verdict, _) => panic!("{stem}: {asked:?}: {verdict:?}"),
            }
            // Each by its own statement alone.
            if let Some(by) = by {
                assert!(evaluate(&without(&policy, by), &asked).is_allowed(), "{stem}: {asked:?}");
            }
        }
    }
    let proved: BTreeSet<&str> = table.iter().filter_map(|(_, _, by)| *by).collect();
    assert_eq!(proved, NEVER.iter().map(|never| never.sid).collect());
}
