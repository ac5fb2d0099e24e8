//! The adapter against canned answers at the wire.

mod acting;
mod balancer;
mod budget;
mod fake;
mod gate;
mod looking;
mod releases;
mod steady;
mod steering;
mod stopping;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use self::fake::{Asked, Reply};
use crate::cloud::Cloud;
use crate::control::Clock;
use crate::model::{Moment, Need, PoolId, build};

/// A clock that moves when told to.
#[derive(Clone)]
struct TestClock {
    now: Arc<Mutex<DateTime<Utc>>>,
    /// How far it moves each time a moment was asked for.
    stride: TimeDelta,
}

impl TestClock {
    fn new() -> Self {
        Self { now: Arc::new(Mutex::new(build::now())), stride: TimeDelta::zero() }
    }

    fn advance(&self, seconds: i64) {
        *self.now.lock().unwrap() += TimeDelta::seconds(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    fn moment(&self) -> Moment {
        let wall = self.now();
        *self.now.lock().unwrap() += self.stride;
        Moment { wall, steady: Duration::from_secs(wall.timestamp().unsigned_abs()) }
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

const CONTAINER: &str = "arn:aws:ecs:eu-west-1:1:container-instance/web/";

/// A cluster `web` of one host `i-1` in group `workers`, and one service `shop`.
fn small(asked: &Asked) -> Reply {
    match asked.call.as_str() {
        "ecs:DescribeClusters" => Reply::Json(json!({ "clusters": [cluster(0)] })),
        "ecs:ListContainerInstances" => {
            Reply::Json(json!({ "containerInstanceArns": [format!("{CONTAINER}a")] }))
        }
        "ecs:DescribeContainerInstances" => described([container("a", "i-1")]),
        "ecs:ListServices" => Reply::Json(json!({ "serviceArns": [service_arn("shop")] })),
        "ecs:DescribeServices" => Reply::Json(json!({ "services": [service("shop")] })),
        "ecs:DescribeTaskDefinition" => Reply::Json(definition(&asked.json())),
        "autoscaling:DescribeAutoScalingGroups" => groups([group("workers", 1, &["i-1"])]),
        "ec2:DescribeInstances" => machines(&["i-1"]),
        "ec2:DescribeLaunchTemplateVersions" => template(),
        call if call.starts_with("elasticloadbalancing:") => balancer::answer(asked),
        call if call.starts_with("cloudwatch:") => Reply::Json(json!({})),
        call if call.starts_with("ecs:") || call.starts_with("application") => {
            Reply::Json(json!({}))
        }
        _ => Reply::Xml(String::new()),
    }
}

/// All calls made so far.
fn total(cloud: &impl Cloud) -> u64 {
    cloud.calls().values().sum()
}

fn need() -> Need {
    Need {
        cluster: "web".into(),
        pools: [PoolId::group("workers")].into(),
        tasks_of: [].into(),
        traffic: None,
        releases: None,
        only_traffic: false,
    }
}

fn cluster(pending: u64) -> Value {
    json!({ "clusterName": "web", "status": "ACTIVE", "pendingTasksCount": pending })
}

fn container(id: &str, instance: &str) -> Value {
    let resources = |cpu: u64, memory: u64, ports: &[&str]| {
        json!([
            { "name": "CPU", "type": "INTEGER", "integerValue": cpu },
            { "name": "MEMORY", "type": "INTEGER", "integerValue": memory },
            { "name": "PORTS", "type": "STRINGSET", "stringSetValue": ports },
        ])
    };
    json!({
        "containerInstanceArn": format!("{CONTAINER}{id}"),
        "ec2InstanceId": instance,
        "version": 3,
        "status": "ACTIVE",
        "agentConnected": true,
        "runningTasksCount": 1,
        "pendingTasksCount": 0,
        "registeredAt": 1_795_240_000.0,
        "registeredResources": resources(2048, 7782, &["22"]),
        "remainingResources": resources(1792, 7270, &["22", "8080"]),
        "attributes": [
            { "name": "ecs.instance-type", "value": "m5.large" },
            { "name": "ecs.availability-zone", "value": "eu-west-1a" },
            { "name": "ecs.os-type", "value": "linux" },
        ],
    })
}

/// An answer that describes these container instances.
fn described(containers: impl IntoIterator<Item = Value>) -> Reply {
    let containers: Vec<Value> = containers.into_iter().collect();
    Reply::Json(json!({ "containerInstances": containers, "failures": [] }))
}

/// A container instance with one field changed.
fn with(mut container: Value, field: &str, value: Value) -> Value {
    container[field] = value;
    container
}

fn marked(container: Value, mark: &str) -> Value {
    let attributes = json!([{ "name": "tidegate.drain", "value": mark }]);
    with(container, "attributes", attributes)
}

fn service_arn(name: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:1:service/web/{name}")
}

fn service(name: &str) -> Value {
    let definition = format!("arn:aws:ecs:eu-west-1:1:task-definition/{name}:1");
    json!({
        "serviceArn": service_arn(name),
        "serviceName": name,
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 1,
        "pendingCount": 0,
        "launchType": "EC2",
        "schedulingStrategy": "REPLICA",
        "taskDefinition": definition,
        "deploymentConfiguration": { "minimumHealthyPercent": 50, "maximumPercent": 150 },
        "deployments": [{
            "id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": definition,
            "desiredCount": 2, "runningCount": 1, "pendingCount": 0, "failedTasks": 0,
            "rolloutState": "COMPLETED", "createdAt": 1_795_240_000.0,
        }],
    })
}

fn definition(request: &Value) -> Value {
    json!({ "taskDefinition": {
        "taskDefinitionArn": request["taskDefinition"],
        "containerDefinitions": [{ "name": "main", "cpu": 256, "memoryReservation": 512 }],
    }})
}

fn group(name: &str, desired: u32, members: &[&str]) -> String {
    let members: String = members.iter().map(|id| member(id, "InService")).collect();
    format!(
        "<member><AutoScalingGroupName>{name}</AutoScalingGroupName>\
         <MinSize>0</MinSize><MaxSize>10</MaxSize><DesiredCapacity>{desired}</DesiredCapacity>\
         <AvailabilityZones><member>eu-west-1a</member></AvailabilityZones>\
         <NewInstancesProtectedFromScaleIn>true</NewInstancesProtectedFromScaleIn>\
         <LaunchTemplate><LaunchTemplateId>lt-1</LaunchTemplateId><Version>7</Version>\
         </LaunchTemplate><SuspendedProcesses><member><ProcessName>AZRebalance</ProcessName>\
         </member></SuspendedProcesses><Instances>{members}</Instances></member>"
    )
}

fn member(id: &str, state: &str) -> String {
    format!(
        "<member><InstanceId>{id}</InstanceId><InstanceType>m5.large</InstanceType>\
         <AvailabilityZone>eu-west-1a</AvailabilityZone><LifecycleState>{state}</LifecycleState>\
         <ProtectedFromScaleIn>true</ProtectedFromScaleIn></member>"
    )
}

fn groups(groups: impl IntoIterator<Item = String>) -> Reply {
    let groups: String = groups.into_iter().collect();
    Reply::Xml(format!("<AutoScalingGroups>{groups}</AutoScalingGroups>"))
}

fn machines(instances: &[&str]) -> Reply {
    let items: String = instances.iter().map(|id| machine(id, "running")).collect();
    let set = format!("<item><instancesSet>{items}</instancesSet></item>");
    Reply::Xml(format!("<reservationSet>{set}</reservationSet>"))
}

fn machine(id: &str, state: &str) -> String {
    format!(
        "<item><instanceId>{id}</instanceId><instanceType>m5.large</instanceType>\
         <launchTime>2026-11-21T06:00:00.000Z</launchTime>\
         <placement><availabilityZone>eu-west-1a</availabilityZone></placement>\
         <instanceLifecycle>spot</instanceLifecycle>\
         <instanceState><code>16</code><name>{state}</name></instanceState></item>"
    )
}

fn template() -> Reply {
    let data = "<launchTemplateData><instanceType>m5.large</instanceType></launchTemplateData>";
    Reply::Xml(format!("<launchTemplateVersionSet><item>{data}</item></launchTemplateVersionSet>"))
}
