//! How many calls one observation of a large cluster takes.

use serde_json::{Value, json};

use super::fake::{Asked, Fake, Reply};
use super::*;
use crate::model::Snapshot;

pub(super) const HOSTS: usize = 1000;
pub(super) const SERVICES: usize = 200;
pub(super) const GROUPS: usize = 5;
/// What `performance.md` 4.2 allows when no tasks are listed.
const CALLS_MAX: u64 = 48;

/// A thousand hosts in five groups, two hundred services that all have a scalable target.
pub(super) fn large(asked: &Asked) -> Reply {
    let json = asked.json();
    match asked.call.as_str() {
        "ecs:DescribeClusters" => {
            let mut cluster = cluster(0);
            cluster["capacityProviders"] = json!(["spare"]);
            Reply::Json(json!({ "clusters": [cluster] }))
        }
        "ecs:ListContainerInstances" => {
            let (page, next) = page(&json, HOSTS, 100, |n| json!(format!("{CONTAINER}{n}")));
            Reply::Json(json!({ "containerInstanceArns": page, "nextToken": next }))
        }
        "ecs:DescribeContainerInstances" => {
            described(names(&json["containerInstances"]).map(|arn| {
                let n = arn.rsplit('/').next().unwrap().to_owned();
                container(&n, &format!("i-{n}"))
            }))
        }
        "ecs:ListServices" => {
            let (page, next) = page(&json, SERVICES, 100, |n| json!(service_arn(&format!("s{n}"))));
            Reply::Json(json!({ "serviceArns": page, "nextToken": next }))
        }
        "ecs:DescribeServices" => {
            let names = names(&json["services"]);
            let services: Vec<Value> =
                names.map(|arn| service(arn.rsplit('/').next().unwrap())).collect();
            Reply::Json(json!({ "services": services }))
        }
        "application-autoscaling:DescribeScalableTargets" => {
            let (page, next) = page(&json, SERVICES, 50, |n| {
                json!({
                    "ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount",
                    "ResourceId": format!("service/web/s{n}"), "MinCapacity": 1, "MaxCapacity": 9,
                    "RoleARN": "arn:aws:iam::1:role/r", "CreationTime": 0,
                })
            });
            Reply::Json(json!({ "ScalableTargets": page, "NextToken": next }))
        }
        "autoscaling:DescribeAutoScalingGroups" => groups((0..GROUPS).map(|g| {
            let ids: Vec<String> =
                (0..HOSTS).filter(|n| n % GROUPS == g).map(|n| format!("i-{n}")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            group(&format!("g{g}"), 200, &ids)
        })),
        "ec2:DescribeInstances" => {
            let ids = asked.body.split('&').filter(|field| field.contains(".Value."));
            let ids: Vec<&str> = ids.filter_map(|f| f.split('=').nth(1)).collect();
            machines(&ids)
        }
        _ => small(asked),
    }
}

/// One page of a listing of `all`, and the token of the next.
fn page(
    request: &Value,
    all: usize,
    size: usize,
    item: impl Fn(usize) -> Value,
) -> (Vec<Value>, Option<String>) {
    let token = request.get("nextToken").or(request.get("NextToken"));
    let from: usize = token.and_then(Value::as_str).map_or(0, |token| token.parse().unwrap());
    let to = (from + size).min(all);
    ((from..to).map(item).collect(), (to < all).then(|| to.to_string()))
}

pub(super) fn names(list: &Value) -> impl Iterator<Item = String> {
    let list: Vec<Value> = list.as_array().cloned().unwrap_or_default();
    list.into_iter().map(|name| name.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_thousand_hosts_and_two_hundred_services_take_at_most_48_calls() {
    let (fake, clock) = (Fake::new(large), TestClock::new());
    let aws = fake.aws(&clock);
    let need =
        Need { pools: (0..GROUPS).map(|g| PoolId::group(format!("g{g}"))).collect(), ..need() };
    let mut calls = Vec::new();
    let mut last: Option<Snapshot> = None;
    for _ in 0..12 {
        let before = total(&aws);
        let seen = aws.observe(&need).await;
        calls.push(total(&aws) - before);
        assert_eq!(seen.gaps().next(), None);
        assert_eq!((seen.hosts.value.len(), seen.services.value.len()), (HOSTS, SERVICES));
        assert_eq!(seen.rivals.value.len(), SERVICES + GROUPS);
        last = Some(seen);
        clock.advance(15);
    }
    // Cold: 200 task definitions, 5 pages of instances, one template and every rival once more.
    assert_eq!(calls[0], 10 + 10 + 2 + 20 + 2 + 200 + 5 + 1 + 1 + 4 + 12);
    let most = calls[1..].iter().max().unwrap();
    assert!(*most <= CALLS_MAX, "{calls:?}");
    // What is read in turns is read again, and again within its time.
    let targets = fake.asked("application-autoscaling:DescribeScalableTargets").len();
    assert!(targets >= 3 * 4, "{targets} pages of scalable targets in three minutes");
    let seen = last.unwrap();
    assert!(seen.pools.value.values().all(|pool| !pool.offerings[0].estimated));
}
