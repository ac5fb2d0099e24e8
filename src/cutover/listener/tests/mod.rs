//! The analysis of whole listeners, told as what an operator would read.

mod laws;
mod moving;
mod order;
mod settings;
mod tutorial;

use std::collections::BTreeSet;

use expect_test::Expect;

use super::*;
use crate::model::{Condition, GroupSettings, Health, HealthCheck, ListenerArn, TargetGroup};

fn arn(group: &str) -> TargetGroupArn {
    format!("arn:aws:elasticloadbalancing:r:1:targetgroup/{group}/1").into()
}

/// As the tutorial sets it up.
fn group(name: &str, healthy: u64) -> TargetGroup {
    let health_check = HealthCheck {
        interval_seconds: 6,
        healthy_after: 2,
        ..GroupSettings::default().health_check
    };
    TargetGroup {
        arn: arn(name),
        name: name.to_owned(),
        owner: Owner::Other,
        settings: GroupSettings { health_check, ..GroupSettings::default() },
        load_balancer: None,
        health: Some(Health { healthy, ..Health::default() }),
        load: Vec::new(),
    }
}

fn path(values: &[&str]) -> Condition {
    Condition::Path { values: values.iter().map(|value| (*value).to_owned()).collect() }
}

fn host(value: &str) -> Condition {
    Condition::Host { values: BTreeSet::from([value.to_owned()]) }
}

/// A listener whose default action is a group, and groups with a healthy target each.
struct Stage {
    traffic: Traffic,
    listener: Listener,
    native: BTreeSet<RuleArn>,
    known: Vec<String>,
    moves: Vec<Move>,
    from: Option<TargetGroupArn>,
}

fn stage(default: &str, groups: &[&str]) -> Stage {
    let groups = groups.iter().map(|name| (arn(name), group(name, 1)));
    Stage {
        traffic: Traffic { groups: groups.collect(), ..Traffic::default() },
        listener: Listener {
            arn: ListenerArn::from("listener/80"),
            load_balancer: "loadbalancer/demo".into(),
            protocol: "HTTP".to_owned(),
            port: 80,
            default: RuleImage::forward_to(&arn(default)),
            rules: Vec::new(),
        },
        native: BTreeSet::new(),
        known: Vec::new(),
        moves: Vec::new(),
        from: None,
    }
}

impl Stage {
    fn rule(self, priority: u16, pattern: &str, to: &str) -> Self {
        self.with_rule(priority, [path(&[pattern])], RuleImage::forward_to(&arn(to)))
    }

    fn with_rule<const N: usize>(
        mut self,
        priority: u16,
        conditions: [Condition; N],
        image: RuleImage,
    ) -> Self {
        self.listener.rules.push(Rule {
            arn: format!("rule/{priority}").into(),
            priority,
            conditions: conditions.into(),
            image,
            owner: Owner::Other,
        });
        self
    }

    fn known(mut self, paths: &[&str]) -> Self {
        self.known = paths.iter().map(|path| (*path).to_owned()).collect();
        self
    }

    fn set(mut self, name: &str, change: impl FnOnce(&mut TargetGroup)) -> Self {
        change(self.traffic.groups.get_mut(&arn(name)).unwrap());
        self
    }

    fn empty(self, name: &str) -> Self {
        self.set(name, |group| group.health = Some(Health::default()))
    }

    fn moves(mut self, from: &str, moves: &[(&str, &[&str])]) -> Self {
        self.from = Some(arn(from));
        self.moves = moves
            .iter()
            .map(|(to, paths)| Move {
                to: (*to).into(),
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
                hosts: Vec::new(),
                group: Some(arn(to)),
            })
            .collect();
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let mut traffic = self.traffic.clone();
        traffic.listeners.insert(self.listener.arn.clone(), self.listener.clone());
        analyse(&Question {
            listener: &self.listener,
            traffic: &traffic,
            native_rules: &self.native,
            moves: &self.moves,
            from: self.from.as_ref(),
            known_paths: &self.known,
        })
    }

    /// All findings but the kinds of which a story does not speak.
    #[track_caller]
    fn finds_beside(&self, silent: &[FindingKind], want: Expect) {
        let told = self.findings().into_iter().filter(|f| !silent.contains(&f.kind));
        let lines = told.map(|f| {
            let priority = f.priority.map(|p| format!(" {p}")).unwrap_or_default();
            let pattern = f.pattern.map(|p| format!(" {p}")).unwrap_or_default();
            let Finding { kind, severity, explanation, remedy, .. } = f;
            format!("{severity} {kind}{priority}{pattern}\n  {explanation}\n  -> {remedy}\n")
        });
        want.assert_eq(&lines.collect::<String>());
    }

    #[track_caller]
    fn finds(&self, want: Expect) {
        self.finds_beside(&[], want);
    }
}

const SERVICES: [&str; 5] = ["api", "users", "threads", "posts", "drop-traffic"];
const ROUTES: [(&str, &[&str]); 3] = [
    ("users", &["/api/users", "/api/users/*"]),
    ("threads", &["/api/threads", "/api/threads/*"]),
    ("posts", &["/api/posts", "/api/posts/*"]),
];

/// The order in which the tutorial's script makes its rules.
fn script() -> Stage {
    stage("api", &SERVICES)
        .rule(1, "/api/users*", "users")
        .rule(2, "/api/threads*", "threads")
        .rule(3, "/api/posts*", "posts")
        .rule(99, "/api*", "api")
}

/// The order in which its pages tell a person to make them.
fn console() -> Stage {
    stage("api", &SERVICES)
        .rule(1, "/api*", "api")
        .rule(2, "/api/users*", "users")
        .rule(3, "/api/threads*", "threads")
        .rule(4, "/api/posts*", "posts")
}
