//! What a large cluster in which nothing happens costs: the product's own loop on the real clients,
//! a queue that tells of nothing new, and the table, on a clock that waits for nobody.

#![expect(clippy::disallowed_methods, reason = "the clock of the test stands still by itself")]

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::queue::Queue;
use super::super::{Aws, AwsTable};
use super::budget::{GROUPS, HOSTS, SERVICES, large, names};
use super::fake::{Asked, Fake, Reply};
use super::*;
use crate::config::{ClusterConfig, PoolConfig};
use crate::control::status::Publisher;
use crate::control::{Cluster, inbox, run};
use crate::journal::Replicated;
use crate::model::Mode;

/// Of 200 CPU units each, so that nine fit where ten are not, and none where they are.
const TASKS_PER_HOST: usize = 10;
const TASK_CPU: usize = 200;
const TASK: &str = "arn:aws:ecs:eu-west-1:1:task/web/";
/// What a large cluster may cost a minute, beside the lease and deleting what was read.
const CALLS_MAX: u64 = 10;

/// The time that the runtime lets pass when nobody has anything to do.
#[derive(Clone, Copy)]
struct Passing(Instant);

impl Clock for Passing {
    fn now(&self) -> DateTime<Utc> {
        build::now() + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.now(), steady: self.0.elapsed() }
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A thousand hosts full of ten thousand tasks, but for room for one more, so that none can leave
/// though ten are always looked at for it; two hundred services at rest; a table that takes
/// everything.
fn full(asked: &Asked) -> Reply {
    match asked.call.as_str() {
        "ecs:DescribeContainerInstances" => {
            described(names(&asked.json()["containerInstances"]).map(|arn| {
                let n = arn.rsplit('/').next().unwrap().to_owned();
                host(&n, tasks_on(&n))
            }))
        }
        "ecs:DescribeServices" => {
            let json = asked.json();
            let arns = names(&json["services"]);
            let services = arns.map(|arn| at_rest(arn.rsplit('/').next().unwrap()));
            Reply::Json(json!({ "services": services.collect::<Vec<_>>() }))
        }
        "ecs:DescribeTaskDefinition" => {
            let container = json!({ "name": "main", "cpu": TASK_CPU, "memoryReservation": 512 });
            let definition = &asked.json()["taskDefinition"];
            Reply::Json(json!({ "taskDefinition": {
                "taskDefinitionArn": definition, "containerDefinitions": [container],
            }}))
        }
        "ecs:ListTasks" => {
            let json = asked.json();
            let n = json["containerInstance"].as_str().unwrap();
            let tasks = (0..tasks_on(n)).map(|task| format!("{TASK}{n}-{task}"));
            let running = tasks.filter(|_| json["desiredStatus"] == "RUNNING");
            Reply::Json(json!({ "taskArns": running.collect::<Vec<_>>() }))
        }
        "ecs:DescribeTasks" => {
            let json = asked.json();
            let tasks = names(&json["tasks"]).map(|arn| running(&arn));
            Reply::Json(json!({ "tasks": tasks.collect::<Vec<_>>() }))
        }
        "dynamodb:Query" => Reply::Json(json!({ "Items": [] })),
        call if call.starts_with("dynamodb:") || call == "sqs:DeleteMessageBatch" => {
            Reply::Json(json!({}))
        }
        _ => large(asked),
    }
}

fn tasks_on(n: &str) -> usize {
    if n == "0" { TASKS_PER_HOST - 1 } else { TASKS_PER_HOST }
}

fn running(arn: &str) -> Value {
    let n = arn.strip_prefix(TASK).and_then(|name| name.split('-').next()).unwrap();
    json!({
        "taskArn": arn, "containerInstanceArn": format!("{CONTAINER}{n}"), "group": "service:s0",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/s0:1",
        "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
    })
}

fn host(n: &str, tasks: usize) -> Value {
    let mut host = with(container(n, &format!("i-{n}")), "runningTasksCount", json!(tasks));
    host["remainingResources"][0]["integerValue"] = json!(2048 - tasks * TASK_CPU);
    host["remainingResources"][1]["integerValue"] = json!(7782 - tasks * 512);
    host
}

fn at_rest(name: &str) -> Value {
    let tasks = HOSTS * TASKS_PER_HOST / SERVICES;
    let mut service = service(name);
    for field in ["desiredCount", "runningCount"] {
        service[field] = json!(tasks);
        service["deployments"][0][field] = json!(tasks);
    }
    service
}

/// What ECS sends of a host of which all of it is known, once more.
fn known_already(nth: usize) -> Value {
    let detail = json!({
        "clusterArn": "arn:aws:ecs:eu-west-1:1:cluster/web", "ec2InstanceId": "i-7",
        "containerInstanceArn": format!("{CONTAINER}7"), "status": "ACTIVE",
        "agentConnected": true, "version": 3,
    });
    let event = json!({
        "id": format!("e-{nth}"), "detail-type": "ECS Container Instance State Change",
        "time": "2026-11-21T06:00:00Z", "detail": detail,
    });
    json!({ "MessageId": "m", "ReceiptHandle": "r", "Body": event.to_string() })
}

/// Each poll waits for its twenty seconds in vain, but for one event in five minutes, and that is
/// nothing new.
fn polls(events: usize) -> impl Iterator<Item = Reply> {
    let long = Duration::from_secs(20);
    (0..events).flat_map(move |nth| {
        let told = Reply::Late(long / 2, json!({ "Messages": [known_already(nth)] }));
        let none = Reply::Late(long / 2, json!({}));
        std::iter::repeat_n(Reply::Late(long, json!({})), 14).chain([told, none])
    })
}

#[tokio::test(start_paused = true)]
async fn a_large_cluster_at_rest_takes_at_most_ten_calls_a_minute() {
    const MINUTES: u64 = 60;
    let fake = Fake::new(full);
    fake.on("sqs:ReceiveMessage", polls(20));
    let clock = Passing(Instant::now());
    let pools = (0..GROUPS).map(|g| PoolConfig::new(PoolId::group(format!("g{g}"))));
    let mut config = ClusterConfig::new("web", pools.collect());
    config.mode = Mode::Act;
    // A tick in which silence stands for a look costs no call, but takes the test its time.
    config.interval = TimeDelta::minutes(5);
    let mut aws = Aws::with_config(&fake.config(), "web".into(), clock);
    let url = "https://sqs.eu-west-1.amazonaws.com/1/tidegate";
    aws.queue = Some(Queue::new(&fake.config(), &aws.calls, url, "web".into()));
    let table = AwsTable::with_config(&fake.config(), "tidegate");
    let now = Arc::new(move || clock.moment());
    let lease = Duration::from_secs(15);
    let mut journal = Replicated::new(table, "web".into(), "replica", lease, now);
    let mut cx = Cluster::open(config, &mut journal).await.unwrap();
    cx.memory.mode = Mode::Act;
    let (publisher, status) = Publisher::new(["web".into()], clock.now());
    let (_orders, mut inbox) = inbox();
    let stop = CancellationToken::new();
    let measured = async {
        // The first look takes hundreds of calls, and those after it read what changes rarely.
        clock.sleep(Duration::from_secs(20 * 60)).await;
        let before = fake.counts();
        clock.sleep(Duration::from_secs(MINUTES * 60)).await;
        let mut counts = fake.counts();
        for (call, count) in &mut counts {
            *count -= before.get(call).copied().unwrap_or_default();
        }
        counts.retain(|_, count| *count > 0);
        stop.cancel();
        counts
    };
    let turns = run(&aws, &mut journal, &mut cx, &clock, &mut inbox, &publisher, &stop);
    let ((), counts) = tokio::join!(turns, measured);

    let shown = status.borrow();
    let shown = shown.cluster("web").unwrap();
    assert_eq!(shown.seen.gaps, [""; 0]);
    let of = |service: &str| -> BTreeMap<&str, u64> {
        let calls = counts.iter().filter(|(call, _)| call.starts_with(service));
        calls.map(|(call, count)| (call.as_str(), *count)).collect()
    };
    let (lease, mut queue) = (of("dynamodb:"), of("sqs:"));
    let deletes = queue.remove("sqs:DeleteMessageBatch").unwrap_or_default();
    let polls: u64 = queue.values().sum();
    let all: u64 = counts.values().sum();
    let beside: u64 = lease.values().sum::<u64>() + deletes;
    let looks = all - beside - polls;
    let a_minute = |calls: u64| format!("{}.{}", calls / MINUTES, calls * 10 / MINUTES % 10);
    eprintln!(
        "a minute: {} calls, of which {} look and {} wait at the queue; beside them {} for the \
         lease and {} delete what was read",
        a_minute(looks + polls),
        a_minute(looks),
        a_minute(polls),
        a_minute(beside - deletes),
        a_minute(deletes),
    );
    assert!(looks + polls <= CALLS_MAX * MINUTES, "{counts:?} {:?}", shown.decisions);
    assert!(looks > 0 && polls >= 3 * MINUTES && deletes > 0, "{counts:?}");
    assert_eq!(lease.keys().copied().collect::<Vec<_>>(), ["dynamodb:TransactWriteItems"]);
}
