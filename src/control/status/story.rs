//! One built moment of a cluster, for the tests of all surfaces.

use chrono::TimeDelta;

use super::*;
use crate::cloud::{Call, CallResult, Calls};
use crate::config::{ClusterConfig, PoolConfig, ReservationCeiling};
use crate::cutover::tests::little::Little;
use crate::model::{
    Action, CutoverOrder, DrainCause, Fact, Failure, Gap, HostStatus, Memory, Origin, Outcome,
    Plan, Reason, Shortfall, Snapshot, Stage, Subject, Suspension, Switch, TaskShape, Why, build,
};

pub(crate) fn config() -> ClusterConfig {
    let mut workers = PoolConfig::new(build::workers());
    workers.max = Some(12);
    ClusterConfig {
        region: Some("eu-west-1".into()),
        mode: Mode::Act,
        reservation_ceiling: ReservationCeiling { cpu_percent: 85, memory_percent: 90 },
        ..ClusterConfig::new("web", vec![workers])
    }
}

/// Two zones, five hosts of every state, one shop that is short of room.
pub(crate) fn snapshot() -> Snapshot {
    let mut draining = build::host("i-0c");
    draining.status = HostStatus::Draining;
    draining.mark = Some(DrainMark {
        cause: DrainCause::ScaleIn,
        deadline: build::now() + TimeDelta::minutes(9),
    });
    let mut lost = build::host("i-0d");
    lost.agent_connected = false;
    lost.zone = "eu-west-1b".into();
    let mut spot = build::host("i-0b");
    spot.market = Market::Spot;
    spot.zone = "eu-west-1b".into();
    let mut pool = build::pool(5);
    pool.max = Units(10);
    let mut snapshot = build::snapshot()
        .with_pool(pool)
        .with_host(build::host("i-0a"))
        .with_host(spot)
        .with_host(draining)
        .with_host(lost)
        .with_host(build::launching("i-0e", build::now() - TimeDelta::seconds(70)))
        .with_service(build::service("shop", 7, 5), TaskShape::plain(768, 2_048))
        .with_service(build::service("mail", 1, 1), TaskShape::plain(256, 512))
        .with_tasks("i-0a", "shop", 2)
        .with_tasks("i-0b", "shop", 2)
        .with_tasks("i-0b", "mail", 1)
        .with_tasks("i-0c", "shop", 1);
    snapshot.rivals.value.insert(Rival::ScalableTarget {
        service: "shop".into(),
        min: 2,
        max: 20,
        suspended: Suspension::default(),
    });
    snapshot
        .rivals
        .value
        .insert(Rival::ScheduledAction { pool: build::workers(), action: "night".into() });
    snapshot
}

fn raise() -> Planned {
    Planned {
        action: Action::SetPoolCapacity { pool: build::workers(), was: Units(5), now: Units(6) },
        kind: ActionKind::ScaleOut,
        why: Why::Short {
            shortfalls: vec![Shortfall::Tasks {
                of: "shop".into(),
                count: 2,
                needs: Resources::new(768, 2_048),
                best_free: Some(Resources::new(512, 3_686)),
            }],
            hosts: 1,
            rejected: vec![],
        },
        by: Origin::Capacity,
    }
}

fn drain() -> Planned {
    Planned {
        action: Action::SetHostStatus {
            hosts: BTreeSet::from(["i-0d".into()]),
            was: HostStatus::Active,
            now: HostStatus::Draining,
        },
        kind: ActionKind::Repair,
        why: Why::AgentLost { since: build::now() - TimeDelta::minutes(6) },
        by: Origin::Capacity,
    }
}

fn standalone() -> Hold {
    Hold::new(
        Subject::Host("i-0b".into()),
        ActionKind::ScaleIn,
        Reason::StandaloneTask { group: "family:<report>".into() },
    )
}

pub(crate) fn memory() -> Memory {
    let held = Fact::Held { key: standalone().key() };
    let mut memory = Memory { mode: Mode::Act, seq: Seq(41), epoch: Epoch(3), ..Memory::default() };
    let minutes = |n| build::now() - TimeDelta::minutes(n);
    memory.since.insert((Subject::Host("i-0b".into()), held), minutes(12));
    memory.since.insert(
        (Subject::Service("shop".into()), Fact::Unplaced { of: "shop".to_owned() }),
        build::now() - TimeDelta::seconds(41),
    );
    memory
}

/// The status of the moment, with one decision carried out and a chart of six points.
pub(crate) fn status() -> ClusterStatus {
    let refused = Hold::new(Subject::Host("i-0d".into()), ActionKind::Repair, Reason::NotAllowed);
    let plan = Plan {
        as_of: build::now(),
        actions: vec![raise(), drain()],
        holds: vec![standalone()],
        notes: vec![],
    };
    let verdicts = [(raise(), Ok(())), (drain(), Err(refused.clone()))];
    let of = |snapshot: &Snapshot, seconds| {
        let now = build::now() + TimeDelta::seconds(seconds);
        ClusterStatus::of(&config(), snapshot, &memory(), &plan, &verdicts, now)
    };
    let mut shown = of(&build::snapshot(), -90);
    for n in 1..=5_u32 {
        let mut before = snapshot();
        let services = before.services.value.values_mut();
        services.for_each(|service| service.running_count += u64::from(5 - n));
        let host = before.hosts.value.get_mut(&InstanceId::from("i-0a"));
        if let Some(host) = host {
            host.remaining = host.registered - Resources::new(300, 700) * u64::from(n);
        }
        shown = of(&before, -90 + 15 * i64::from(n)).after(&shown, TimeDelta::seconds(15));
    }
    let mut status = of(&snapshot(), 3).after(&shown, TimeDelta::seconds(15));
    let fates = vec![
        Decided::new(raise(), Fate::Outcome { outcome: Outcome::done() }),
        Decided::new(drain(), Fate::Held { hold: refused }),
    ];
    let decision = Decision::of(&status, fates);
    status.counters.tick(&snapshot(), true, std::time::Duration::from_millis(120), build::now());
    status.counters.calls(&calls());
    status.counters.decision(&decision);
    status.decided(decision);
    status
}

fn calls() -> Calls {
    let call = |operation: &str, result| Call {
        service: "ECS".into(),
        operation: operation.into(),
        result,
    };
    Calls::from([
        (call("DescribeServices", CallResult::Ok), 40),
        (call("DescribeServices", CallResult::NoAnswer), 1),
    ])
}

/// The same moment with one call that failed.
pub(crate) fn gap() -> Gap {
    Gap {
        source: "ecs:DescribeServices".into(),
        failure: Failure::AccessDenied { action: "ecs:DescribeServices".into() },
    }
}

/// The moment with a cutover that nobody has started.
pub(crate) fn before_cutting() -> ClusterStatus {
    let mut little = Little::tutorial(&["users", "posts"]);
    let _plan = little.tick(0);
    with_cutovers(&mut little)
}

/// The moment with a cutover under way: half of users is on its own service and watched, posts
/// waits for it.
pub(crate) fn cutting() -> ClusterStatus {
    with_cutovers(&mut cut_to(Stage::Shifting, 1))
}

/// The same, stopped by a rule that somebody changed.
pub(crate) fn stopped() -> ClusterStatus {
    let mut little = cut_to(Stage::Shifting, 1);
    let image = little.rule("posts").image.clone();
    little.rule("users").image = image;
    let _plan = little.tick(15);
    with_cutovers(&mut little)
}

/// The same, after a person has ended it.
pub(crate) fn rolled_back() -> ClusterStatus {
    let mut little = cut_to(Stage::Shifting, 1);
    little.order(CutoverOrder::Rollback { route: None });
    for _ in 0..20 {
        let _plan = little.tick(15);
    }
    with_cutovers(&mut little)
}

/// The same, when both routes have been baked and the old service is kept warm.
pub(crate) fn kept_warm() -> ClusterStatus {
    with_cutovers(&mut cut_to(Stage::Tombstoned, 2))
}

fn cut_to(stage: Stage, step: usize) -> Little {
    let mut little = Little::tutorial(&["users", "posts"]);
    little.start();
    let at = |little: &Little| {
        let route = &little.memory.cutovers[&"break".into()].routes[&"users".into()];
        (route.stage, route.step) == (stage, step)
    };
    while !at(&little) {
        let _plan = little.tick(15);
    }
    for _ in 0..20 {
        let _plan = little.tick(15);
    }
    little
}

fn with_cutovers(little: &mut Little) -> ClusterStatus {
    let plan = little.tick(0);
    let ask = |planned: &Planned| little.admit(planned).map(|_| ());
    let verdicts: Vec<_> = plan.actions.iter().map(|one| (one.clone(), ask(one))).collect();
    let (config, snapshot, memory) = (&little.config, &little.snapshot, &little.memory);
    let shown = ClusterStatus::of(config, snapshot, memory, &plan, &verdicts, little.now);
    ClusterStatus { cutovers: shown.cutovers, at: little.now, ..status() }
}

/// A release of `mail`: ordered, looked up, registered, booked, and half brought out.
pub(crate) fn releasing() -> ClusterStatus {
    let (memory, mut snapshot) = half_released();
    deployed(&mut snapshot, crate::model::Rollout::InProgress);
    released(&memory, &snapshot)
}

/// The same, led back by its circuit breaker.
pub(crate) fn gone_back() -> ClusterStatus {
    use crate::model::{ReleaseStage, ReleaseVerdict, StopCause};
    let (mut memory, snapshot) = half_released();
    let cause = StopCause::Exited { container: "mail".into(), exit_code: Some(1) };
    let verdict = ReleaseVerdict::CrashLoop { failed: 3, cause };
    let because = verdict.to_string();
    memory = moved(memory, ReleaseStage::RollingBack, &because, Some(verdict), 90);
    memory = moved(memory, ReleaseStage::RolledBack, "2 tasks run mail:1", None, 60);
    released(&memory, &snapshot)
}

fn released(memory: &Memory, snapshot: &Snapshot) -> ClusterStatus {
    use crate::{control, guard};
    let mut config = config();
    config.allow.insert(ActionKind::Services);
    let plan = control::merge::plan(&config, snapshot, memory, build::now());
    let lease = guard::Lease::exclusive(memory.epoch);
    let (switch, now) = (Switch::default(), build::now());
    let (config_of, lease_of) = (&config, &lease);
    let case =
        guard::Case { config: config_of, snapshot, memory, lease: lease_of, switch: &switch, now };
    let ask = |planned: &Planned| guard::admit(case, planned.clone()).map(|_| ());
    let verdicts: Vec<_> = plan.actions.iter().map(|p| (p.clone(), ask(p))).collect();
    ClusterStatus::of(&config, snapshot, memory, &plan, &verdicts, build::now())
}

fn half_released() -> (Memory, Snapshot) {
    use crate::model::{
        Command, Order, Record, ReleaseEdge, ReleaseOrder, ReleasePath, ReleaseStage,
    };
    let name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mail";
    let digest = |n: u8| crate::model::Digest::from(format!("sha256:{}", n.to_string().repeat(64)));
    let image = crate::model::ImageName::from(format!("{name}:v2"));
    let path = ReleasePath {
        container: "mail".to_owned(),
        was: build::definition("mail"),
        previous: format!("{name}:v1").into(),
        previous_digest: Some(digest(1)),
        image: image.pinned(&digest(2)),
    };
    let steer = ReleaseOrder::Start { image, container: None };
    let order = Order::Release { service: "mail".into(), steer };
    let command = Command { actor: "ann".into(), reason: "faster sending".into(), order };
    let mut memory = folded(memory(), Record::Command { command }, 240);
    memory = noted(memory, ReleaseEdge::Found { path }, 225);
    memory = moved(memory, ReleaseStage::Resolved, "mail:1 goes to its new image", None, 225);
    if let Some(release) = memory.releases.get_mut(&"mail".into()) {
        release.now = Some("arn:aws:ecs:r:1:task-definition/mail:2".into());
    }
    memory = moved(memory, ReleaseStage::Registered, "mail:2 has the new image", None, 224);
    memory = moved(memory, ReleaseStage::Booked, "room for 2 more tasks is there", None, 150);
    memory = moved(memory, ReleaseStage::Deploying, "ECS brings mail:2 out", None, 148);
    let mut snapshot = snapshot();
    if let Some(mail) = snapshot.services.value.get_mut(&"mail".into()) {
        *mail = build::service("mail", 2, 2);
    }
    (memory, snapshot)
}

fn deployed(snapshot: &mut Snapshot, rollout: crate::model::Rollout) {
    let Some(mail) = snapshot.services.value.get_mut(&"mail".into()) else { return };
    mail.definition = "arn:aws:ecs:r:1:task-definition/mail:2".into();
    let mut ours = mail.deployments[0].clone();
    (ours.definition, ours.rollout, ours.running_count) = (mail.definition.clone(), rollout, 1);
    mail.deployments[0].primary = false;
    mail.deployments.insert(0, ours);
    let shape = TaskShape::plain(256, 512);
    snapshot.shapes.value.insert(mail.definition.clone(), shape);
}

fn moved(
    memory: Memory,
    stage: crate::model::ReleaseStage,
    because: &str,
    verdict: Option<crate::model::ReleaseVerdict>,
    seconds_ago: i64,
) -> Memory {
    let because = because.to_owned();
    noted(memory, crate::model::ReleaseEdge::Moved { stage, because, verdict }, seconds_ago)
}

fn noted(memory: Memory, edge: crate::model::ReleaseEdge, seconds_ago: i64) -> Memory {
    let note = crate::model::Note::Release { service: "mail".into(), edge };
    folded(memory, crate::model::Record::Noted { note }, seconds_ago)
}

fn folded(memory: Memory, record: crate::model::Record, seconds_ago: i64) -> Memory {
    let at = build::now() - TimeDelta::seconds(seconds_ago);
    let (seq, epoch) = (Seq(memory.seq.0 + 1), memory.epoch);
    memory.fold(&crate::model::Entry { seq, epoch, at, record })
}
