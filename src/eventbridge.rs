//! What EventBridge says, as changes.
//!
//! Rule: pure. What is of another cluster, or of no interest, is no change; what should be
//! understood and is not is an error, so that the message is kept for people to look at.
//!
//! The shapes are those of the ECS Developer Guide ("Amazon ECS events"), the EC2 User Guide (Spot
//! interruption notices, rebalance recommendations), the EC2 Auto Scaling User Guide ("EventBridge
//! event reference") and the CloudWatch User Guide ("Alarm events").

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::{
    Change, ClusterName, HostState, HostStatus, InstanceId, PoolId, Resources, Warning,
};

/// Why a message says nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("not an event of EventBridge: {0}")]
    NotAnEvent(serde_json::Error),
    #[error("event {id} ({kind}) is not as AWS documents it: {error}")]
    Detail { id: String, kind: String, error: serde_json::Error },
}

/// One event, as far as it is told apart from others.
#[derive(Debug)]
pub struct Told {
    /// The same for every delivery of one event.
    pub id: String,
    /// `None`: it is of another cluster, or of no interest.
    pub change: Option<Change>,
}

/// What a message tells of this cluster.
///
/// # Errors
/// `NotAnEvent` for anything else, `Detail` where an event of a kind that matters is not as AWS
/// documents it.
pub fn told(body: &str, cluster: &ClusterName) -> Result<Told, EventError> {
    let event: Event = serde_json::from_str(body).map_err(EventError::NotAnEvent)?;
    let change = event.change(cluster).map_err(|error| EventError::Detail {
        id: event.id.clone(),
        kind: event.kind.clone(),
        error,
    })?;
    Ok(Told { id: event.id, change })
}

#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "detail-type")]
    kind: String,
    time: DateTime<Utc>,
    #[serde(default)]
    resources: Vec<String>,
    detail: Value,
}

impl Event {
    fn change(&self, cluster: &ClusterName) -> Result<Option<Change>, serde_json::Error> {
        Ok(match self.kind.as_str() {
            "ECS Container Instance State Change" => {
                let detail: ContainerInstance = self.detail()?;
                is_of(&detail.cluster_arn, cluster).then(|| detail.change()).flatten()
            }
            "ECS Task State Change" => {
                let detail: Task = self.detail()?;
                is_of(&detail.cluster_arn, cluster)
                    .then_some(Change::Task { task: detail.task_arn, status: detail.last_status })
            }
            "ECS Service Action" | "ECS Deployment State Change" => {
                let detail: Service = self.detail()?;
                let service = self.resources.iter().find_map(|arn| service_of(arn, cluster));
                let event = detail.event_name;
                service.map(|service| Change::Service { service: service.into(), event })
            }
            "EC2 Spot Instance Interruption Warning" => self.warned(Warning::Ends)?,
            "EC2 Instance Rebalance Recommendation" => self.warned(Warning::AtRisk)?,
            "CloudWatch Alarm State Change" => {
                let detail: Alarm = self.detail()?;
                Some(Change::Alarm { name: detail.alarm_name, state: detail.state.value })
            }
            event if event.starts_with("EC2 Instance") || event.starts_with("EC2 Auto Scaling") => {
                let detail: Group = self.detail()?;
                let event = event.to_owned();
                let pool = detail.auto_scaling_group_name;
                pool.map(|pool| Change::Pool { pool: PoolId::group(&pool), event })
            }
            _ => None,
        })
    }

    fn warned(&self, warning: Warning) -> Result<Option<Change>, serde_json::Error> {
        let detail: Instance = self.detail()?;
        let instance = InstanceId::new(detail.instance_id);
        Ok(Some(Change::Warned { instance, warning, at: self.time }))
    }

    fn detail<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.detail)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerInstance {
    cluster_arn: String,
    /// Missing for hosts outside EC2.
    ec2_instance_id: Option<String>,
    status: String,
    agent_connected: bool,
    version: u64,
    #[serde(default)]
    registered_resources: Vec<Resource>,
    #[serde(default)]
    remaining_resources: Vec<Resource>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: String,
    integer_value: Option<i64>,
}

impl ContainerInstance {
    fn change(self) -> Option<Change> {
        let instance = InstanceId::new(self.ec2_instance_id?);
        let version = self.version;
        let status = match self.status.as_str() {
            "ACTIVE" => HostStatus::Active,
            "DRAINING" => HostStatus::Draining,
            "REGISTERING" => HostStatus::Registering,
            "INACTIVE" => return Some(Change::HostGone { instance, version }),
            _ => HostStatus::Other,
        };
        let state = HostState {
            instance,
            version,
            status,
            agent_connected: self.agent_connected,
            registered: resources(&self.registered_resources),
            remaining: resources(&self.remaining_resources),
        };
        Some(Change::Host { state })
    }
}

/// CPU units and MiB; what else there is only a look tells.
fn resources(all: &[Resource]) -> Resources {
    let named = |name: &str| {
        let found = all.iter().find(|resource| resource.name == name);
        found.and_then(|resource| u64::try_from(resource.integer_value?).ok()).unwrap_or(0)
    };
    Resources::new(named("CPU"), named("MEMORY"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    cluster_arn: String,
    task_arn: String,
    last_status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    event_name: String,
}

#[derive(Debug, Deserialize)]
struct Instance {
    #[serde(rename = "instance-id")]
    instance_id: String,
}

#[derive(Debug, Deserialize)]
struct Group {
    #[serde(rename = "AutoScalingGroupName")]
    auto_scaling_group_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alarm {
    alarm_name: String,
    state: AlarmState,
}

#[derive(Debug, Deserialize)]
struct AlarmState {
    value: String,
}

fn is_of(arn: &str, cluster: &ClusterName) -> bool {
    arn.rsplit('/').next() == Some(cluster.as_str())
}

/// `arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME`.
fn service_of<'a>(arn: &'a str, cluster: &ClusterName) -> Option<&'a str> {
    let (_, path) = arn.split_once(":service/")?;
    let (of, name) = path.split_once('/')?;
    (of == cluster.as_str()).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn event(kind: &str, resource: &str, detail: Value) -> String {
        json!({
            "version": "0",
            "id": "8f07966c-b005-4a0f-9ee9-63d2c41448b3",
            "detail-type": kind,
            "source": "aws.any",
            "account": "111122223333",
            "time": "2026-11-21T09:00:00Z",
            "region": "eu-west-1",
            "resources": [resource],
            "detail": detail,
        })
        .to_string()
    }

    fn change(kind: &str, resource: &str, detail: Value) -> Option<Change> {
        told(&event(kind, resource, detail), &"web".into()).unwrap().change
    }

    fn host(cluster: &str, status: &str) -> Value {
        let resource = |name: &str, value: i64| json!({ "name": name, "type": "INTEGER", "integerValue": value });
        json!({
            "clusterArn": format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{cluster}"),
            "containerInstanceArn": "arn:aws:ecs:eu-west-1:111122223333:container-instance/web/7",
            "ec2InstanceId": "i-1",
            "status": status,
            "agentConnected": true,
            "version": 14,
            "registeredResources": [resource("CPU", 2048), resource("MEMORY", 7782)],
            "remainingResources": [
                resource("CPU", 1024),
                { "name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"] },
                resource("MEMORY", 3000),
            ],
        })
    }

    #[test]
    fn a_container_instance_is_told_with_its_version_and_room() {
        let kind = "ECS Container Instance State Change";
        let Some(Change::Host { state }) = change(kind, "", host("web", "DRAINING")) else {
            panic!("no host");
        };
        assert_eq!((state.version, state.status), (14, HostStatus::Draining));
        assert_eq!(state.registered, Resources::new(2048, 7782));
        assert_eq!(state.remaining, Resources::new(1024, 3000));
        let gone = Change::HostGone { instance: "i-1".into(), version: 14 };
        assert_eq!(change(kind, "", host("web", "INACTIVE")), Some(gone));
        assert_eq!(change(kind, "", host("other", "ACTIVE")), None);
    }

    #[test]
    fn a_failed_placement_names_its_service() {
        let detail = json!({
            "eventType": "ERROR",
            "eventName": "SERVICE_TASK_PLACEMENT_FAILURE",
            "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/web",
            "reason": "RESOURCE:CPU",
        });
        let arn = |cluster| format!("arn:aws:ecs:eu-west-1:111122223333:service/{cluster}/shop");
        let failed = change("ECS Service Action", &arn("web"), detail.clone()).unwrap();
        assert!(failed.is_urgent());
        assert_eq!(
            failed,
            Change::Service {
                service: "shop".into(),
                event: "SERVICE_TASK_PLACEMENT_FAILURE".to_owned()
            }
        );
        assert_eq!(change("ECS Service Action", &arn("other"), detail), None);
    }

    #[test]
    fn warnings_groups_tasks_and_alarms_are_told() {
        let at = "2026-11-21T09:00:00Z".parse().unwrap();
        let warned = |warning| Change::Warned { instance: "i-1".into(), warning, at };
        let notice = json!({ "instance-id": "i-1", "instance-action": "terminate" });
        let kind = "EC2 Spot Instance Interruption Warning";
        assert_eq!(change(kind, "", notice.clone()), Some(warned(Warning::Ends)));
        let kind = "EC2 Instance Rebalance Recommendation";
        assert_eq!(change(kind, "", notice), Some(warned(Warning::AtRisk)));
        let kind = "EC2 Instance Launch Successful";
        let group = json!({ "AutoScalingGroupName": "g", "EC2InstanceId": "i-1" });
        let launched = Change::Pool { pool: PoolId::group("g"), event: kind.to_owned() };
        assert_eq!(change(kind, "", group), Some(launched));
        let task = json!({
            "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/web",
            "taskArn": "arn:task", "lastStatus": "PROVISIONING", "desiredStatus": "RUNNING",
        });
        assert!(change("ECS Task State Change", "", task).unwrap().is_urgent());
        let alarm = json!({ "alarmName": "a", "state": { "value": "ALARM" } });
        assert!(change("CloudWatch Alarm State Change", "", alarm).unwrap().is_urgent());
        assert_eq!(change("AWS API Call via CloudTrail", "", json!({})), None);
    }

    #[test]
    fn what_should_be_understood_and_is_not_is_an_error_that_says_what() {
        let web = &"web".into();
        let error = told("no json", web).unwrap_err().to_string();
        assert!(error.starts_with("not an event of EventBridge"), "{error}");
        let error = told(&event("ECS Task State Change", "", json!({})), web).unwrap_err();
        assert!(error.to_string().contains("(ECS Task State Change)"), "{error}");
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(body in ".*", kind in 0..6_usize, detail in ".*") {
            let web = &"web".into();
            let _any = told(&body, web);
            let kind = [
                "ECS Container Instance State Change", "ECS Task State Change",
                "ECS Service Action", "EC2 Spot Instance Interruption Warning",
                "CloudWatch Alarm State Change", "EC2 Instance Launch Successful",
            ][kind];
            let _any = told(&event(kind, &body, Value::String(detail)), web);
        }
    }
}
