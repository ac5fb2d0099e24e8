//! AWS on bad days: while it refuses, fails, is silent or tells half, no host goes and the reason
//! is shown; once it is well again, what was due is done by itself.
//!
//! Rule: these prove Tidegate's reaction. That AWS words its errors so is known from its API
//! references, not from here.

use std::time::Duration;

use aws_sdk_ecs::types::TaskStopCode;
use serde_json::Value;

use crate::aws::World;
use crate::footing::config;
use crate::harness::{Tidegate, eventually, within};
use crate::proxy::{Fault, Proxy};

/// A silent read is given up after 25 s, and a tick reads twice.
const SLOW: Duration = Duration::from_secs(180);

/// Four tasks of half a host each on two hosts. Two of them go: then one host is too many.
struct Day {
    world: World,
    proxy: Proxy,
    tidegate: Tidegate,
    /// Requests of the endpoint's record up to this number lie before the fault.
    before: u64,
}

impl Day {
    async fn dawns() -> Self {
        let world = World::new().await;
        world.cluster_with_group().await;
        world.set_desired("g", 2).await;
        world.hosts_when(2).await;
        world.service("web", 1024, 512, 4).await;
        world.steady("web").await;
        let proxy = Proxy::start(&world.endpoint).await;
        let config = config(&world, "c", &["auto_scaling_group: g"], "");
        let mut tidegate = Tidegate::new(&proxy.url(), &world, "c", &config).await;
        tidegate.act().await;
        tidegate.status_when("a whole look", |status| status["seen"]["complete"] == true).await;
        let before = world.mark().await;
        Self { world, proxy, tidegate, before }
    }

    /// Requests under the fault that changed something; the counts are the test's.
    async fn writes(&self) -> Vec<String> {
        let writes = self.world.writes(self.before).await;
        let writes = writes.into_iter().filter(|write| write.operation != "UpdateService");
        writes.map(|write| write.operation).collect()
    }

    async fn waits_for(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let status = async || self.tidegate.status().await.filter(|status| is(status));
        within(SLOW, what, status).await
    }

    /// AWS is well again: the host that is too many is drained and ended, once.
    async fn ends_well(&self) {
        self.proxy.heal();
        eventually("the host that is too many goes", async || {
            (self.world.hosts().await.len() == 1).then_some(())
        })
        .await;
        self.world.steady("web").await;
        assert_eq!(self.world.desired("g").await, 1);
        let well = |status: &Value| status["seen"]["complete"] == true;
        self.waits_for("a whole look again", well).await;
        let ended = self.world.sent("TerminateInstanceInAutoScalingGroup", self.before).await;
        assert_eq!(ended.len(), 1, "{ended:?}");
        for task in self.world.tasks(true).await {
            assert_ne!(task.stop_code(), Some(&TaskStopCode::TerminationNotice), "{task:?}");
        }
    }
}

/// A fault of reads: `reason` must be among what the status says it could not see.
async fn blind(pattern: &str, fault: Fault, reason: &str) {
    let day = Day::dawns().await;
    day.proxy.fail(pattern, fault);
    day.world.set_count("web", 2).await;
    let shows = |status: &Value| {
        let gaps = status["seen"]["gaps"].as_array().into_iter().flatten();
        let mut gaps = gaps.filter_map(Value::as_str);
        gaps.any(|gap| gap.contains(reason))
    };
    let first = day.waits_for(reason, shows).await;
    // Long enough for a host to count as unneeded, if this were believed.
    let later = day.waits_for("a second look", |now| shows(now) && now["at"] != first["at"]).await;
    let third = day.waits_for("a third look", |now| shows(now) && now["at"] != later["at"]).await;
    assert_eq!(third["seen"]["complete"], false);
    assert!(day.proxy.struck() > 0);
    assert_eq!(day.writes().await, [""; 0], "{pattern} {fault:?}");
    assert_eq!(day.world.desired("g").await, 2);
    day.ends_well().await;
}

/// A fault of one write: `reason` must be told as its outcome, and what follows it never happens.
async fn refused(operation: &str, fault: Fault, reason: &str, never: &str) {
    let day = Day::dawns().await;
    day.proxy.fail(operation, fault);
    day.world.set_count("web", 2).await;
    let told = |status: &Value| {
        let decisions = status["decisions"].as_array().into_iter().flatten();
        let mut acted = decisions.flat_map(|decision| decision["actions"].as_array()).flatten();
        acted.any(|action| action["outcome"].to_string().contains(reason))
    };
    let status = day.waits_for(reason, told).await;
    assert!(status["breakers"].to_string().contains(reason), "{}", status["breakers"]);
    let sent = day.world.sent(never, day.before).await;
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(day.world.desired("g").await, 2);
    day.ends_well().await;
}

const LOOK: &str = "ecs:DescribeContainerInstances";
const END: &str = "autoscaling:TerminateInstanceInAutoScalingGroup";
const GROUPS: &str = "autoscaling:DescribeAutoScalingGroups";
const SILENT: &str = "no answer within the time limit";
const ENDED: &str = "TerminateInstanceInAutoScalingGroup";

#[tokio::test(flavor = "multi_thread")]
async fn throttling_removes_nothing() {
    tokio::join!(
        blind("*", Fault::Throttled, "throttled by AWS"),
        blind("autoscaling:*", Fault::Throttled, GROUPS),
        refused("ecs:UpdateContainerInstancesState", Fault::Throttled, "throttled", ENDED),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_errors_remove_nothing() {
    tokio::join!(
        blind("ecs:*", Fault::ServerError, "ServerException"),
        // Whether it took effect is not known: it is not repeated before that is.
        refused(END, Fault::ServerError, "InternalFailure", ENDED),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_removes_nothing() {
    tokio::join!(
        blind("ecs:DescribeServices", Fault::Silence, SILENT),
        refused(END, Fault::Silence, SILENT, ENDED),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn half_answers_remove_nothing() {
    tokio::join!(
        blind(LOOK, Fault::Failures, "INTERNAL"),
        blind("ecs:DescribeServices", Fault::Failures, "INTERNAL"),
        blind("ecs:DescribeTasks", Fault::Failures, "INTERNAL"),
        blind(LOOK, Fault::Empty, "2 container instances listed, 0 described"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_and_removes_nothing() {
    let (tasks, mark) = ("ecs:ListTasks", "ecs:PutAttributes");
    tokio::join!(
        blind(GROUPS, Fault::AccessDenied, "not permitted: autoscaling:DescribeAutoScalingGroups"),
        blind(tasks, Fault::AccessDenied, "not permitted: ecs:ListTasks"),
        refused(mark, Fault::AccessDenied, mark, "UpdateContainerInstancesState"),
    );
}
