//! One story for each kind of finding.

use std::fmt::Write;

use expect_test::expect;
use strum::IntoEnumIterator;

use super::fix::{Form, fix};
use super::*;
use crate::config::PoolConfig;
use crate::model::build::{pool, snapshot, workers};
use crate::model::{GroupSettings, Owner, Service, TargetGroup};

fn config() -> ClusterConfig {
    let mut config = ClusterConfig::new("web", vec![PoolConfig::new(workers())]);
    config.mode = Mode::Act;
    config.queue = Some("https://sqs.example/1/q".to_owned());
    config.stop_parameter = Some("/tidegate/web/stop".to_owned());
    config
}

fn found(config: &ClusterConfig, snapshot: &Snapshot, facts: &Facts) -> String {
    let mut text = String::new();
    for finding in examine(config, snapshot, facts) {
        let Finding { weight, kind, subject, explanation } = &finding;
        writeln!(text, "{weight:?} {kind} {subject}: {explanation}").unwrap();
        writeln!(text, "  {}", fix("web", &finding, Form::Cli)).unwrap();
    }
    text
}

#[test]
fn a_cluster_in_order_has_no_findings() {
    let seen = snapshot().with_pool(pool(3));
    assert_eq!(found(&config(), &seen, &Facts::default()), "");
}

#[test]
fn everything_in_disorder_is_named_with_its_remedy() {
    let mut config = config();
    config.allow.insert(ActionKind::ScaleIn);
    config.pools.push(PoolConfig::new(PoolId::group("spare")));
    (config.queue, config.stop_parameter) = (None, None);
    let mut open = pool(3);
    (open.protects_new_hosts, open.suspended) = (false, Default::default());
    let mut host = crate::model::build::host("i-1");
    host.protected = false;
    let mut seen = snapshot().with_pool(open).with_host(host);
    let pool = workers;
    seen.rivals.value.extend([
        Rival::ManagedScaling { pool: pool(), provider: "cp".to_owned(), silenced: false },
        Rival::ScalingPolicy { pool: pool(), policy: "p".to_owned(), silenced: false },
        Rival::ScheduledAction { pool: pool(), action: "night".to_owned() },
        Rival::InstanceRefresh { pool: pool(), refresh: "r-1".to_owned() },
        Rival::TerminateHook { pool: pool(), hook: "drain".to_owned() },
        Rival::WarmPool { pool: pool() },
        Rival::WarmPool { pool: PoolId::group("of-others") },
    ]);
    let denied = Failure::AccessDenied { action: "ecs:ListTasks".to_owned() };
    seen.tasks.gaps.push(Gap { source: "ecs:ListTasks".to_owned(), failure: denied });
    let service: Option<&mut Service> = seen.services.value.values_mut().next();
    if let Some(service) = service {
        service.native_rules.insert("arn:rule".into());
    }
    let facts = Facts { skew: Some(TimeDelta::seconds(-45)), state_is_fleeting: Some(true) };
    expect![[r#"
        Blocks permission_lacking ecs:ListTasks: it is not permitted; what it would show is missing, and nothing is removed while it is
          tidegate export iam --config FILE, and attach the policy it prints
        Blocks pool_missing spare: the configuration names it, and AWS knows no such pool here
          correct its name or the Region in the configuration
        Blocks managed_scaling workers: managed scaling of cp sizes it; it is not written to
          tidegate handover --cluster web --pool workers --apply
        Blocks scaling_policy workers: scaling policy p sizes it; it is not written to
          aws autoscaling suspend-processes --auto-scaling-group-name workers --scaling-processes AlarmNotification
        Blocks fleeting_state web: the journal lies on the disk of a container and is lost with it: first values, timers and open cutovers are then forgotten
          put --state on a volume that outlives the container, or the journal in a table
        Advice scheduled_action workers: scheduled action night sets its size; that is somebody else's
          aws autoscaling describe-scheduled-actions --auto-scaling-group-name workers, and delete what should not size it
        Advice instance_refresh workers: instance refresh r-1 runs; nothing is removed meanwhile
          wait for its end
        Advice terminate_hook workers: lifecycle hook drain holds hosts that end; somebody else drains
          aws autoscaling describe-lifecycle-hooks --auto-scaling-group-name workers, and delete the hook if only a drain hangs on it
        Advice warm_pool workers: it has a warm pool, whose instances are no hosts
          aws autoscaling delete-warm-pool --auto-scaling-group-name workers
        Advice unprotected workers: 1 of its hosts are not protected from scale-in; Tidegate protects them before it removes the first one
          nothing; it is done before the first removal
        Advice zones_rebalanced workers: AZRebalance may end hosts of it that have tasks, after any removal
          aws autoscaling suspend-processes --auto-scaling-group-name workers --scaling-processes AZRebalance
        Advice clock_skew web: the clock of this machine is 45 s behind that of AWS
          let a time service set the clock
        Advice no_queue web: no queue tells of changes; everything is looked at every 15 s
          name a queue under `queue` in the configuration
        Advice no_stop_switch web: there is no stop switch that works without a token
          name a parameter under `stop_parameter`
    "#]].assert_eq(&found(&config, &seen, &facts));
}

#[test]
fn a_clock_too_wrong_for_signatures_blocks() {
    for (seconds, weight) in
        [(0, None), (29, None), (-60, Some(Weight::Advice)), (301, Some(Weight::Blocks))]
    {
        let facts = Facts { skew: Some(TimeDelta::seconds(seconds)), state_is_fleeting: None };
        let all = examine(&config(), &snapshot().with_pool(pool(3)), &facts);
        assert_eq!(all.first().map(|finding| finding.weight), weight, "{seconds} s");
    }
}

#[test]
fn a_group_that_lets_targets_go_later_than_a_drain_may_take_blocks() {
    let mut config = config();
    config.scale_in.drain_deadline = TimeDelta::minutes(10);
    for (seconds, weight) in [
        (30, None),
        (60, None),
        (61, Some(Weight::Advice)),
        (599, Some(Weight::Advice)),
        (600, Some(Weight::Blocks)),
    ] {
        let mut seen = snapshot().with_pool(pool(3));
        let group = TargetGroup {
            arn: "arn:users".into(),
            name: "users".to_owned(),
            owner: Owner::Other,
            settings: GroupSettings { deregistration_delay_seconds: seconds, ..Default::default() },
            load_balancer: None,
            health: None,
            load: Vec::new(),
        };
        seen.traffic.value.groups.insert(group.arn.clone(), group);
        let all = examine(&config, &seen, &Facts::default());
        assert_eq!(all.first().map(|finding| finding.weight), weight, "{seconds} s");
        assert!(all.iter().all(|finding| finding.kind == Kind::SlowDeregistration));
    }
}

#[test]
fn every_kind_has_a_remedy_in_every_form() {
    for kind in Kind::iter() {
        for form in Form::iter() {
            let finding = finding(Weight::Advice, kind, "workers", "");
            assert!(!fix("web", &finding, form).is_empty(), "{kind} {form}");
        }
    }
}
