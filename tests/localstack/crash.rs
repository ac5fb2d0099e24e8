//! The process killed at every kind of request that changes something: before AWS has seen it,
//! and after AWS has acted on it; and behind every record in its journal.
//!
//! Rule: a walk with kills ends as the walk without, to the last write in the endpoint's record.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_ecs::types::{Task, TaskStopCode};
use serde_json::Value;

use crate::aws::World;
use crate::footing::config;
use crate::harness::{Tidegate, eventually};
use crate::proxy::{Cut, Proxy, lock};

mod pool;

use pool::Pool;

/// Longest wait for a request to come; a start and a few ticks lie before it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything Tidegate can do to a group, each at least once: a pool is handed over, grows by one
/// host, is protected again where somebody took that back, and loses the host.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_ends_the_same_whenever_the_process_dies() {
    compare(Kind::Group).await;
}

/// What is different for a fleet: its target, and who ends its hosts.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_ends_the_same_whenever_the_process_dies() {
    compare(Kind::Fleet).await;
}

#[derive(Clone, Copy)]
enum Kind {
    Group,
    Fleet,
}

async fn compare(kind: Kind) {
    let (undisturbed, unseen, unanswered, recorded) = tokio::join!(
        walk(kind, Deaths::None),
        walk(kind, Deaths::AtRequests(Cut::Request)),
        walk(kind, Deaths::AtRequests(Cut::Reply)),
        walk(kind, Deaths::BehindRecords),
    );
    assert_eq!(unseen, undisturbed, "killed before AWS had seen the request");
    assert_eq!(unanswered, undisturbed, "killed after AWS had acted on it");
    assert_eq!(recorded, undisturbed, "killed behind every record");
}

/// When the process dies.
#[derive(Clone, Copy)]
enum Deaths {
    None,
    /// Once at each kind of request that changes something.
    AtRequests(Cut),
    /// Whenever the table has taken a record unlike those before, before the process knows.
    BehindRecords,
}

/// How a walk ended, by the AWS API.
#[derive(Debug, PartialEq, Eq)]
struct End {
    desired: i32,
    hosts: usize,
    running: i32,
    protects_new_hosts: bool,
    suspended: BTreeSet<String>,
    /// What changed something, in order.
    writes: Vec<String>,
}

async fn walk(kind: Kind, deaths: Deaths) -> End {
    let world = World::new().await;
    world.cluster().await;
    let pool = match kind {
        Kind::Group => Pool::group(&world).await,
        Kind::Fleet => Pool::fleet(&world).await,
    };
    world.hosts_when(1).await;
    world.service("web", 1024, 512, 1).await;
    world.steady("web").await;

    let proxy = Proxy::start(&world.endpoint).await;
    let config = config(&world, "c", &[&pool.key()], "");
    let tidegate = Tidegate::new(&proxy.url(), &world, "c", &config).await;
    let after = world.mark().await;
    let recorded = Arc::default();
    let mut walk =
        Walk { world, pool, proxy, tidegate, deaths, recorded, after, writes: Vec::new() };
    walk.tidegate.act().await;
    if let Kind::Group = kind {
        walk.hand_over().await;
    }
    walk.grow().await;
    walk.shrink().await;
    walk.end().await
}

/// What the journal was told, each with what it was told before, without numbers: what differs only
/// in these is of one sort.
#[derive(Default)]
struct Recorded {
    all: BTreeSet<(String, String)>,
    last: String,
}

impl Recorded {
    /// Whether a write brings records of a sort unlike all before; neither a lease nor a decision.
    fn is_fresh(&mut self, body: &[u8]) -> bool {
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let mut parts = body["TransactItems"].as_array().into_iter().flatten();
        let records = parts.find_map(|part| part["Put"]["Item"]["records"]["S"].as_str());
        let Some(records) = records else { return false };
        let records = records.replace(|c: char| c.is_ascii_digit(), "");
        let before = std::mem::replace(&mut self.last, records.clone());
        self.all.insert((before, records))
    }
}

struct Walk {
    world: World,
    pool: Pool,
    proxy: Proxy,
    tidegate: Tidegate,
    deaths: Deaths,
    recorded: Arc<Mutex<Recorded>>,
    /// Requests of the endpoint's record up to this number are the test's own, or kept already.
    after: u64,
    writes: Vec<String>,
}

impl Walk {
    /// Suspends the rival's alarms, and takes the protection of new hosts on.
    async fn hand_over(&mut self) {
        let order = ["handover", "--cluster", "c", "--apply"];
        self.tidegate.status_when("a first look", |_| true).await;
        let steps = ["autoscaling:UpdateAutoScalingGroup", "autoscaling:SuspendProcesses"];
        self.arm(steps.first());
        self.tidegate.tell(&order).await;
        self.die_at(&steps).await;
        eventually("the group is handed over", async || {
            let group = self.world.describe_group("g").await;
            let flag = group.new_instances_protected_from_scale_in == Some(true);
            (flag && group.suspended_processes().len() == 2).then_some(())
        })
        .await;
        self.keep().await;
    }

    /// Four tasks of half a host each, where two fit.
    async fn grow(&mut self) {
        let step = match self.pool {
            Pool::Group => "autoscaling:SetDesiredCapacity",
            Pool::Fleet(_) => "ec2:ModifySpotFleetRequest",
        };
        self.arm(Some(&step));
        self.world.set_count("web", 4).await;
        self.die_at(&[step]).await;
        self.until("two hosts are there", async |world| world.hosts().await.len() == 2).await;
        self.world.steady("web").await;
        self.keep().await;
    }

    /// Two tasks again, one on each host though both fit on one.
    async fn shrink(&mut self) {
        let steps = match self.pool {
            Pool::Group => [
                "autoscaling:SetInstanceProtection",
                "ecs:PutAttributes",
                "ecs:UpdateContainerInstancesState",
                "autoscaling:TerminateInstanceInAutoScalingGroup",
            ],
            Pool::Fleet(_) => [
                "ecs:PutAttributes",
                "ecs:UpdateContainerInstancesState",
                "ec2:ModifySpotFleetRequest",
                "ec2:TerminateInstances",
            ],
        };
        if let Pool::Group = self.pool {
            self.unprotect().await;
        }
        self.arm(steps.first());
        // ECS takes the task from the fullest host, each time another.
        self.world.set_count("web", 3).await;
        eventually("one task has stopped", async || {
            let ending = self.world.tasks(true).await;
            let stopped = |task: &Task| task.last_status() == Some("STOPPED");
            (ending.iter().filter(|task| stopped(task)).count() == 1).then_some(())
        })
        .await;
        self.world.set_count("web", 2).await;
        self.die_at(&steps).await;
        self.until("one host is left", async |world| world.instances().await.len() == 1).await;
        self.world.hosts_when(1).await;
        self.world.steady("web").await;
        // What would be done a second time would be done now.
        self.tidegate.ticks(3).await;
        self.keep().await;
    }

    /// Somebody takes one host's protection back.
    async fn unprotect(&mut self) {
        let member = self.world.members("g").await.remove(0);
        let take = self.world.autoscaling.set_instance_protection().auto_scaling_group_name("g");
        let take = take.set_instance_ids(member.instance_id.map(|id| vec![id]));
        take.protected_from_scale_in(false).send().await.expect("SetInstanceProtection");
        self.after = self.world.mark().await;
    }

    /// The next request of this operation will be held, if anything is in this walk.
    fn arm(&self, step: Option<&&str>) {
        if let (Deaths::AtRequests(cut), Some(step)) = (self.deaths, step) {
            self.proxy.hold(step, cut);
        }
    }

    /// Kills the process at each of these in turn, the first of which is armed already.
    async fn die_at(&mut self, steps: &[&str]) {
        let Deaths::AtRequests(_) = self.deaths else { return };
        for (at, step) in steps.iter().enumerate() {
            let held = self.proxy.held(PATIENCE).await;
            assert!(held.is_some(), "{step} does not come");
            self.tidegate.kill();
            self.arm(steps.get(at + 1));
            self.tidegate.start().await;
        }
    }

    /// Waits until this is so; where the process dies behind records, it does so until then.
    async fn until(&mut self, what: &str, is: impl AsyncFn(&World) -> bool) {
        if let Deaths::BehindRecords = self.deaths {
            let mut deaths = 0;
            self.hold_record();
            while !is(&self.world).await {
                if self.proxy.held(Duration::from_millis(500)).await.is_some() {
                    self.tidegate.kill();
                    self.hold_record();
                    self.tidegate.start().await;
                    deaths += 1;
                    assert!(deaths < 60, "it gets nowhere");
                }
            }
            self.proxy.heal();
            assert!(deaths > 3, "few records for a walk: {deaths}");
        }
        eventually(what, async || is(&self.world).await.then_some(())).await;
    }

    /// The next record that is unlike all before will have been taken by the table.
    fn hold_record(&self) {
        let recorded = Arc::clone(&self.recorded);
        let is_fresh = move |body: &[u8]| lock(&recorded).is_fresh(body);
        self.proxy.hold_if("dynamodb:TransactWriteItems", is_fresh, Cut::Reply);
    }

    /// Takes down what Tidegate has written since the last time; the counts are the test's.
    async fn keep(&mut self) {
        let writes = self.world.writes(self.after).await;
        let writes = writes.iter().filter(|write| write.operation != "UpdateService");
        self.writes.extend(writes.map(|write| write.operation.clone()));
        self.after = self.world.mark().await;
    }

    async fn end(self) -> End {
        self.nothing_died_with_its_host().await;
        let mut ended = BTreeSet::new();
        for operation in ["TerminateInstanceInAutoScalingGroup", "TerminateInstances"] {
            for request in self.world.sent(operation, 0).await {
                let parameters = &request.parameters;
                let ids = [&parameters["InstanceId"], &parameters["InstanceIds"]];
                let again = ids.iter().any(|id| !id.is_null() && !ended.insert(id.to_string()));
                assert!(!again, "terminated twice: {parameters}");
            }
        }
        let mut end = End {
            desired: self.pool.desired(&self.world).await,
            hosts: self.world.instances().await.len(),
            running: self.world.describe_service("c", "web").await.running_count,
            protects_new_hosts: false,
            suspended: BTreeSet::new(),
            writes: self.writes,
        };
        if let Pool::Group = self.pool {
            let group = self.world.describe_group("g").await;
            end.protects_new_hosts = group.new_instances_protected_from_scale_in == Some(true);
            let suspended = group.suspended_processes().iter();
            end.suspended = suspended.filter_map(|s| s.process_name.clone()).collect();
        }
        end
    }

    /// ECS says of every task why it stopped: none because its host went.
    async fn nothing_died_with_its_host(&self) {
        let stopped = self.world.tasks(true).await;
        assert!(stopped.len() > 2, "the host that went had no task to move");
        for task in stopped {
            let died = task.stop_code() == Some(&TaskStopCode::TerminationNotice);
            assert!(!died, "its host was terminated undrained: {:?}", task.stopped_reason());
        }
    }
}
