//! What becomes of each kind of action: done, moved, refused or in doubt.

use std::time::Duration;

use chrono::DateTime;

use super::fake::{Fake, Reply};
use super::*;
use crate::model::*;

const LIMIT: Duration = Duration::from_secs(24);
const GROUPS: &str = "autoscaling:DescribeAutoScalingGroups";
const CONTAINERS: &str = "ecs:DescribeContainerInstances";

/// An action, the one call it makes, and what the re-read shows before and after it.
pub(super) struct Case {
    pub(super) action: Action,
    pub(super) write: &'static str,
    pub(super) accepted: Reply,
    /// The call whose answer changes.
    pub(super) read: &'static str,
    pub(super) before: Reply,
    pub(super) after: Reply,
    /// What the re-read shows when somebody else was there first.
    pub(super) moved: Reply,
}

fn workers() -> PoolId {
    PoolId::group("workers")
}

fn hosts() -> std::collections::BTreeSet<InstanceId> {
    ["i-1".into()].into()
}

fn mark() -> DrainMark {
    DrainMark {
        cause: DrainCause::ScaleIn,
        deadline: DateTime::from_timestamp(1_795_300_000, 0).unwrap(),
    }
}

/// The group with one thing changed.
fn changed(from: &str, to: &str) -> Reply {
    groups([group("workers", 1, &["i-1"]).replace(from, to)])
}

fn fleet(target: u32, fulfilled: u32, state: &str) -> Reply {
    Reply::Xml(format!(
        "<spotFleetRequestConfigSet><item><spotFleetRequestId>sfr-1</spotFleetRequestId>\
         <spotFleetRequestState>{state}</spotFleetRequestState><spotFleetRequestConfig>\
         <targetCapacity>{target}</targetCapacity><type>maintain</type>\
         <fulfilledCapacity>{fulfilled}.0</fulfilledCapacity></spotFleetRequestConfig></item>\
         </spotFleetRequestConfigSet>"
    ))
}

fn draining() -> Value {
    with(container("a", "i-1"), "status", json!("DRAINING"))
}

fn set_capacity() -> Case {
    Case {
        action: Action::SetPoolCapacity { pool: workers(), was: Units(1), now: Units(3) },
        write: "autoscaling:SetDesiredCapacity",
        accepted: Reply::Xml(String::new()),
        read: GROUPS,
        before: groups([group("workers", 1, &["i-1"])]),
        after: groups([group("workers", 3, &["i-1"])]),
        moved: groups([group("workers", 2, &["i-1"])]),
    }
}

fn set_fleet_capacity() -> Case {
    let pool = PoolId::SpotFleet("sfr-1".to_owned());
    Case {
        action: Action::SetPoolCapacity { pool, was: Units(2), now: Units(1) },
        write: "ec2:ModifySpotFleetRequest",
        accepted: Reply::Xml("<return>true</return>".to_owned()),
        read: "ec2:DescribeSpotFleetRequests",
        before: fleet(2, 2, "active"),
        after: fleet(1, 2, "modifying"),
        moved: fleet(2, 2, "modifying"),
    }
}

fn set_new_host_protection() -> Case {
    let on = "<NewInstancesProtectedFromScaleIn>true";
    let off = "<NewInstancesProtectedFromScaleIn>false";
    Case {
        action: Action::SetNewHostProtection { pool: workers(), was: false, now: true },
        write: "autoscaling:UpdateAutoScalingGroup",
        accepted: Reply::Xml(String::new()),
        read: GROUPS,
        before: changed(on, off),
        after: changed(on, on),
        moved: changed(on, on),
    }
}

fn protect() -> Case {
    let (on, off) = ("<ProtectedFromScaleIn>true", "<ProtectedFromScaleIn>false");
    Case {
        action: Action::ProtectHosts { pool: workers(), hosts: hosts(), now: true },
        write: "autoscaling:SetInstanceProtection",
        accepted: Reply::Xml(String::new()),
        read: GROUPS,
        before: changed(on, off),
        after: changed(on, on),
        moved: changed("InService", "Terminating:Wait"),
    }
}

fn suspend() -> Case {
    let processes = ["AlarmNotification".to_owned()].into();
    let name = "<ProcessName>AZRebalance";
    Case {
        action: Action::SetProcesses { pool: workers(), processes, suspended: true },
        write: "autoscaling:SuspendProcesses",
        accepted: Reply::Xml(String::new()),
        read: GROUPS,
        before: changed(name, name),
        after: changed(name, "<ProcessName>AlarmNotification"),
        moved: groups([]),
    }
}

fn mark_hosts() -> Case {
    Case {
        action: Action::MarkHosts { hosts: hosts(), mark: Some(mark()) },
        write: "ecs:PutAttributes",
        accepted: Reply::Json(json!({})),
        read: CONTAINERS,
        before: described([container("a", "i-1")]),
        after: described([marked(container("a", "i-1"), &mark().to_string())]),
        moved: described([container("z", "i-other")]),
    }
}

fn unmark_hosts() -> Case {
    Case {
        action: Action::MarkHosts { hosts: hosts(), mark: None },
        write: "ecs:DeleteAttributes",
        before: mark_hosts().after,
        after: mark_hosts().before,
        ..mark_hosts()
    }
}

fn drain() -> Case {
    Case {
        action: Action::SetHostStatus {
            hosts: hosts(),
            was: HostStatus::Active,
            now: HostStatus::Draining,
        },
        write: "ecs:UpdateContainerInstancesState",
        accepted: described([draining()]),
        read: CONTAINERS,
        before: described([container("a", "i-1")]),
        after: described([draining()]),
        moved: described([draining()]),
    }
}

fn terminate() -> Case {
    Case {
        action: Action::TerminateHost {
            pool: workers(),
            host: "i-1".into(),
            desired_was: Units(1),
            replace: false,
            forced: false,
        },
        write: "autoscaling:TerminateInstanceInAutoScalingGroup",
        accepted: Reply::Xml(String::new()),
        read: GROUPS,
        before: groups([group("workers", 1, &["i-1"])]),
        after: changed("InService", "Terminating"),
        moved: changed("InService", "Terminating"),
    }
}

fn terminate_of_fleet() -> Case {
    Case {
        action: Action::TerminateHost {
            pool: PoolId::SpotFleet("sfr-1".to_owned()),
            host: "i-1".into(),
            desired_was: Units(1),
            replace: false,
            forced: false,
        },
        write: "ec2:TerminateInstances",
        accepted: Reply::Xml(String::new()),
        read: "ec2:DescribeSpotFleetRequests",
        before: fleet(1, 2, "active"),
        after: fleet(1, 1, "active"),
        moved: fleet(1, 1, "active"),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = super::steering::cases();
    cases.extend([
        set_capacity(),
        set_fleet_capacity(),
        set_new_host_protection(),
        protect(),
        suspend(),
        mark_hosts(),
        unmark_hosts(),
        drain(),
        terminate(),
        terminate_of_fleet(),
    ]);
    cases
}

/// A world in which the host drains without tasks and no target is registered, wherever a case does not say otherwise.
pub(super) fn world(case: &Case) -> Fake {
    let fake = Fake::new(small);
    fake.on(CONTAINERS, [described([draining()])]);
    fake.on(super::steering::HEALTH, [super::balancer::health(&[])]);
    let member = "<item><instanceId>i-1</instanceId><instanceType>m5.large</instanceType></item>";
    let members = Reply::Xml(format!("<activeInstanceSet>{member}</activeInstanceSet>"));
    fake.on("ec2:DescribeSpotFleetInstances", [members]);
    let ending = machine("i-1", "shutting-down");
    let ending = format!(
        "<reservationSet><item><instancesSet>{ending}</instancesSet></item></reservationSet>"
    );
    fake.on("ec2:DescribeInstances", [Reply::Xml(ending)]);
    fake.on(case.write, [case.accepted.clone()]);
    fake.on(case.read, [case.before.clone(), case.after.clone()]);
    fake
}

pub(super) async fn perform(fake: &Fake, case: &Case) -> Outcome {
    fake.aws(&TestClock::new()).perform(&case.action, LIMIT).await
}

pub(super) fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { .. } => "done",
        Outcome::Moved { .. } => "moved",
        Outcome::Refused { .. } => "refused",
        Outcome::InDoubt { .. } => "in doubt",
    }
}

#[tokio::test(start_paused = true)]
async fn each_action_is_one_request_and_done_once_it_shows() {
    for case in cases() {
        let fake = world(&case);
        let outcome = perform(&fake, &case).await;
        assert_eq!(outcome, Outcome::done(), "{}", case.action);
        assert_eq!(fake.asked(case.write).len(), 1, "{}", case.action);
    }
}

#[tokio::test(start_paused = true)]
async fn what_moved_is_not_sent() {
    for case in cases() {
        let fake = world(&case);
        fake.on(case.read, [case.moved.clone()]);
        let outcome = perform(&fake, &case).await;
        // A group that is gone is refused by its name rather than called moved.
        let expected = if case.write.ends_with("SuspendProcesses") { "refused" } else { "moved" };
        assert_eq!(kind(&outcome), expected, "{}: {outcome:?}", case.action);
        assert_eq!(fake.asked(case.write).len(), 0, "{}", case.action);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clear_no_is_refused_and_never_repeated() {
    let answers = [
        Reply::Error(400, "ThrottlingException", "Rate exceeded"),
        Reply::Error(400, "ValidationError", "no"),
        Reply::Error(403, "AccessDenied", "no"),
        Reply::Down,
    ];
    for answer in answers {
        for case in cases() {
            let fake = world(&case);
            fake.on(case.write, [answer.clone()]);
            let outcome = perform(&fake, &case).await;
            assert_eq!(kind(&outcome), "refused", "{} {answer:?}: {outcome:?}", case.action);
            assert_eq!(fake.asked(case.write).len(), 1, "{}", case.action);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_in_doubt_and_never_repeated() {
    let answers = [
        Reply::Cut,
        Reply::Silence,
        Reply::Error(500, "InternalFailure", "oops"),
        Reply::Error(503, "ServiceUnavailable", "later"),
    ];
    for answer in answers {
        for case in cases() {
            let fake = world(&case);
            fake.on(case.write, [answer.clone()]);
            let outcome = perform(&fake, &case).await;
            assert_eq!(kind(&outcome), "in doubt", "{} {answer:?}: {outcome:?}", case.action);
            assert_eq!(fake.asked(case.write).len(), 1, "{}", case.action);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_but_does_not_show_is_in_doubt_within_the_limit() {
    for case in [set_capacity(), mark_hosts(), drain(), terminate()] {
        let fake = world(&case);
        fake.on(case.read, [case.before.clone()]);
        let outcome = tokio::time::timeout(LIMIT, perform(&fake, &case)).await.unwrap();
        assert_eq!(kind(&outcome), "in doubt", "{}: {outcome:?}", case.action);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_on_what_cannot_be_read() {
    for case in cases() {
        for answer in [Reply::Error(500, "InternalFailure", ""), Reply::Silence] {
            let fake = world(&case);
            fake.on(case.read, [answer]);
            let outcome = perform(&fake, &case).await;
            assert_eq!(kind(&outcome), "refused", "{}: {outcome:?}", case.action);
            assert_eq!(fake.asked(case.write).len(), 0, "{}", case.action);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_done_without_a_request() {
    for case in [protect(), suspend(), mark_hosts(), unmark_hosts()] {
        let fake = world(&case);
        fake.on(case.read, [case.after.clone()]);
        assert_eq!(kind(&perform(&fake, &case).await), "done", "{}", case.action);
        assert_eq!(fake.asked(case.write).len(), 0, "{}", case.action);
    }
}

#[tokio::test(start_paused = true)]
async fn the_host_of_a_batch_that_failed_is_named() {
    let case = drain();
    let fake = world(&case);
    let failure = json!({ "arn": format!("{CONTAINER}a"), "reason": "INACTIVE" });
    let answer = json!({ "containerInstances": [], "failures": [failure] });
    fake.on(case.write, [Reply::Json(answer)]);
    let failed = SubjectFailure {
        subject: Subject::Host("i-1".into()),
        failure: Failure::Refused { message: "INACTIVE".to_owned() },
    };
    assert_eq!(perform(&fake, &case).await, Outcome::Done { failed: vec![failed], made: None });
}

#[tokio::test(start_paused = true)]
async fn a_host_goes_only_empty_and_draining() {
    let task = |last: &str| {
        json!({
            "taskArn": "arn:aws:ecs:eu-west-1:1:task/web/1",
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/shop:1",
            "containerInstanceArn": format!("{CONTAINER}a"),
            "lastStatus": last, "desiredStatus": "STOPPED", "group": "service:shop",
        })
    };
    for case in [terminate(), terminate_of_fleet()] {
        for (last, expected) in [("DEPROVISIONING", "moved"), ("STOPPED", "done")] {
            let fake = world(&case);
            let listed = json!({ "taskArns": ["arn:aws:ecs:eu-west-1:1:task/web/1"] });
            fake.on("ecs:ListTasks", [Reply::Json(json!({})), Reply::Json(listed)]);
            fake.on("ecs:DescribeTasks", [Reply::Json(json!({ "tasks": [task(last)] }))]);
            assert_eq!(kind(&perform(&fake, &case).await), expected, "{} {last}", case.action);
        }
        let fake = world(&case);
        fake.on(CONTAINERS, [described([container("a", "i-1")])]);
        assert_eq!(kind(&perform(&fake, &case).await), "moved", "{} active", case.action);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_replaced_keeps_its_place_and_one_that_is_forced_out_is_not_asked() {
    let mut case = terminate();
    case.action = Action::TerminateHost {
        pool: workers(),
        host: "i-1".into(),
        desired_was: Units(1),
        replace: true,
        forced: true,
    };
    let fake = world(&case);
    let lost = with(container("a", "i-1"), "agentConnected", json!(false));
    fake.on(CONTAINERS, [described([lost])]);
    assert_eq!(kind(&perform(&fake, &case).await), "done");
    let sent = &fake.asked(case.write)[0].body;
    assert!(sent.contains("ShouldDecrementDesiredCapacity=false"), "{sent}");
    assert!(fake.asked("ecs:ListTasks").is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_say_exactly_what_was_meant() {
    let sent = async |case: Case| {
        let fake = world(&case);
        perform(&fake, &case).await;
        fake.asked(case.write)[0].body.clone()
    };
    let capacity = sent(set_capacity()).await;
    assert!(capacity.contains("DesiredCapacity=3&HonorCooldown=false"), "{capacity}");
    let fleet = sent(set_fleet_capacity()).await;
    assert!(fleet.contains("ExcessCapacityTerminationPolicy=noTermination"), "{fleet}");
    assert!(fleet.contains("TargetCapacity=1"), "{fleet}");
    let terminate = sent(terminate()).await;
    assert!(terminate.contains("ShouldDecrementDesiredCapacity=true"), "{terminate}");
    let marked: Value = serde_json::from_str(&sent(mark_hosts()).await).unwrap();
    assert_eq!(marked["attributes"][0]["value"], mark().to_string());
    assert_eq!(marked["attributes"][0]["targetId"], format!("{CONTAINER}a"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_of_processes_is_never_sent() {
    let mut case = suspend();
    let processes = [].into();
    case.action = Action::SetProcesses { pool: workers(), processes, suspended: true };
    let fake = world(&case);
    assert_eq!(kind(&perform(&fake, &case).await), "refused");
    assert_eq!(fake.asked(case.write).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_after_its_look_sends_nothing_late() {
    for case in cases() {
        let fake = world(&case);
        let clock = TestClock { stride: TimeDelta::seconds(9), ..TestClock::new() };
        let outcome = fake.aws(&clock).perform(&case.action, LIMIT).await;
        assert_eq!(kind(&outcome), "refused", "{}: {outcome:?}", case.action);
        assert_eq!(fake.asked(case.write).len(), 0, "{}", case.action);
    }
}

#[tokio::test(start_paused = true)]
async fn each_write_carries_the_epoch_of_its_writer_and_no_read_does() {
    let case = set_capacity();
    let fake = world(&case);
    let aws = fake.aws(&TestClock::new());
    aws.stamp.set(Epoch(7));
    aws.perform(&case.action, LIMIT).await;
    let agent = &fake.asked(case.write)[0].agent;
    assert!(agent.ends_with(" md/tidegate-epoch#7"), "{agent}");
    assert!(!fake.asked(case.read)[0].agent.contains("epoch"));
}
