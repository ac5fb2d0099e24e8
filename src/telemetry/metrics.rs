//! Metrics, made from the status at each scrape: no second set of books.
//!
//! Rule: names begin with `tidegate_` and carry their unit; labels come from the configuration and
//! from our own codes, never ids of hosts or tasks, so their number is bounded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use strum::IntoEnumIterator;

use crate::control::status::{ClusterStatus, Durations, Status};
use crate::model::Mode;

/// All metrics in the OpenMetrics text format.
pub fn text(status: &Arc<Status>) -> String {
    let mut registry = Registry::with_prefix("tidegate");
    registry.register_collector(Box::new(Shown(status.clone())));
    let mut text = String::new();
    if let Err(error) = text::encode(&mut text, &registry) {
        tracing::error!(%error, "metrics could not be written");
    }
    text
}

#[derive(Debug)]
struct Shown(Arc<Status>);

type Labels = Vec<(&'static str, String)>;

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let to = &mut encoder;
        let clusters = &self.0.clusters;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        gauge(to, "build_info", "The running version.", [(version, 1.0)])?;
        let refused = u8::from(self.0.config.refused.is_some()).into();
        let help = "1 while the configuration file is not valid and the last good one in force.";
        gauge(to, "config_refused", help, one(refused))?;
        let waiting = size(self.0.config.needs_restart.len());
        let help = "Settings in the file that are not in force before a restart.";
        gauge(to, "config_needs_restart", help, one(waiting))?;
        notifications(to, &self.0)?;
        judgement(to, clusters)?;
        capacity(to, clusters)?;
        limits(to, clusters)?;
        counters(to, clusters)
    }
}

/// How people were told, by target.
fn notifications(to: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let targets = status.notifications.iter();
    let samples = targets.flat_map(|(target, counts)| {
        [("delivered", counts.delivered), ("lost", counts.lost)].map(|(result, count)| {
            let labels = vec![("target", target.clone()), ("result", result.to_owned())];
            (labels, number(count))
        })
    });
    counter(to, "notifications", "Notifications by what became of them.", samples)
}

/// What Tidegate may do and how well it sees.
fn judgement(to: &mut DescriptorEncoder<'_>, clusters: &[ClusterStatus]) -> fmt::Result {
    let modes = each(clusters, |c| {
        Mode::iter()
            .map(|mode| {
                let is = if c.mode.effective == mode { 1.0 } else { 0.0 };
                (vec![("mode", mode.to_string())], is)
            })
            .collect()
    });
    gauge(to, "mode", "1 for the effective mode of a cluster.", modes)?;
    let paused = each(clusters, |c| one(u8::from(c.pause.is_some()).into()));
    gauge(to, "paused", "1 while a person has paused the cluster.", paused)?;
    let good = each(clusters, |c| match c.counters.last_good_tick_at {
        Some(at) => one(number(u64::try_from(at.timestamp()).unwrap_or(0))),
        None => vec![],
    });
    gauge(
        to,
        "last_successful_evaluation_timestamp_seconds",
        "When a tick last saw everything and could write its journal.",
        good,
    )?;
    let age = each(clusters, |c| one(number(u64::try_from(c.seen.age_seconds).unwrap_or(0))));
    let help = "Age of the oldest part of the observation when the last tick ended.";
    gauge(to, "observation_age_seconds", help, age)?;
    let leads = each(clusters, |c| one(u8::from(c.journal.leader.is_none()).into()));
    gauge(to, "leads", "1 while this replica may write, 0 while it stands by.", leads)?;
    let epoch = each(clusters, |c| one(number(c.journal.epoch.0)));
    gauge(to, "epoch", "How many writers the cluster has had.", epoch)?;
    let pending = each(clusters, |c| one(size(c.journal.in_doubt)));
    let help = "Requests whose outcome is not known yet.";
    gauge(to, "journal_pending", help, pending)
}

/// Hosts, tasks, reservation and cost.
fn capacity(to: &mut DescriptorEncoder<'_>, clusters: &[ClusterStatus]) -> fmt::Result {
    let pools = |value: fn(&crate::control::status::PoolView) -> f64| {
        each(clusters, move |c| {
            let pools = c.pools.iter();
            pools.map(|pool| (vec![("pool", pool.id.to_string())], value(pool))).collect()
        })
    };
    let desired = pools(|pool| f64::from(pool.desired.0));
    gauge(to, "desired_capacity", "Units a pool should have.", desired)?;
    let ready = pools(|pool| size(pool.usable_hosts));
    gauge(to, "ready_hosts", "Hosts of a pool that take tasks.", ready)?;
    let hosts = each(clusters, |c| {
        let n = &c.host_counts;
        [
            ("usable", n.usable),
            ("launching", n.launching),
            ("draining", n.draining),
            ("agent_lost", n.agent_lost),
            ("other", n.other),
        ]
        .into_iter()
        .map(|(state, n)| (vec![("state", state.to_owned())], size(n)))
        .collect()
    });
    gauge(to, "hosts", "Hosts by state.", hosts)?;
    let unplaced = each(clusters, |c| one(number(c.tasks.unplaced)));
    let help = "Tasks that should exist and are on no host.";
    gauge(to, "unplaceable_tasks", help, unplaced)?;
    let reserved = each(clusters, |c| {
        let r = &c.reservation;
        let both = [("cpu", r.cpu_percent), ("memory", r.memory_percent)];
        both.into_iter()
            .filter_map(|(name, percent)| Some((vec![("resource", name.to_owned())], percent?)))
            .collect()
    });
    let help = "Reserved share of the hosts that take tasks.";
    gauge(to, "reservation_percent", help, reserved)?;
    let cost = each(clusters, |c| {
        let dollars = |micro: u64| number(micro) / 1e6;
        let cost = &c.cost;
        [
            ("now", cost.now_micro_usd_per_hour),
            ("after_plan", cost.after_micro_usd_per_hour),
            ("if_allowed", cost.if_allowed_micro_usd_per_hour),
        ]
        .into_iter()
        .map(|(when, micro)| (vec![("when", when.to_owned())], dollars(micro)))
        .collect()
    });
    let help = "List price of all hosts with each pool's price factor.";
    gauge(to, "cost_dollars_per_hour", help, cost)
}

/// Budgets and breakers.
fn limits(to: &mut DescriptorEncoder<'_>, clusters: &[ClusterStatus]) -> fmt::Result {
    let budgets = each(clusters, |c| {
        let budgets = c.budgets.iter();
        budgets
            .map(|budget| {
                let left = budget.limit.saturating_sub(budget.used);
                (vec![("budget", budget.name.clone())], number(left))
            })
            .collect()
    });
    gauge(to, "budget_remaining", "What a budget still allows.", budgets)?;
    let breakers = each(clusters, |c| {
        let breakers = c.breakers.iter();
        breakers.map(|b| (vec![("action", b.name.clone())], u8::from(b.open).into())).collect()
    });
    let help = "1 while repeated failures keep an action back.";
    gauge(to, "breaker_open", help, breakers)
}

/// Sums since the process started.
fn counters(to: &mut DescriptorEncoder<'_>, clusters: &[ClusterStatus]) -> fmt::Result {
    let names = ["action", "reason", "result"];
    let actions = each(clusters, |c| by_three(names, &c.counters.actions));
    let help = "Planned actions by what became of them.";
    counter(to, "decisions", help, actions)?;
    let rejections = each(clusters, |c| {
        let rejections = c.counters.guard_rejections.iter();
        rejections.map(|(reason, n)| (vec![("reason", reason.clone())], number(*n))).collect()
    });
    counter(to, "guard_rejections", "Actions the guard refused.", rejections)?;
    let failed = each(clusters, |c| {
        let mut samples = vec![];
        for (call, failures) in &c.counters.failed_reads {
            for (failure, n) in failures {
                let labels = vec![("call", call.clone()), ("failure", failure.clone())];
                samples.push((labels, number(*n)));
            }
        }
        samples
    });
    counter(to, "aws_failed_reads", "AWS reads that failed.", failed)?;
    let names = ["service", "operation", "result"];
    let requests = each(clusters, |c| by_three(names, &c.counters.aws_requests));
    counter(to, "aws_requests", "Requests sent to AWS, retries included.", requests)?;
    let throttles = each(clusters, |c| one(number(c.counters.throttles)));
    counter(to, "aws_throttles", "Answers that said to slow down.", throttles)?;
    let help = "How long a tick took, from look to last write.";
    let kind = MetricType::Histogram;
    let mut family = to.encode_descriptor("reconcile_duration_seconds", help, None, kind)?;
    for cluster in clusters {
        let labels = [("cluster", cluster.name.to_string())];
        let histogram = Histogram(&cluster.counters.tick_durations);
        histogram.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

type Counts = BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>;

/// Counts under three labels.
fn by_three(names: [&'static str; 3], counts: &Counts) -> Vec<(Labels, f64)> {
    let mut samples = vec![];
    for (first, seconds) in counts {
        for (second, thirds) in seconds {
            for (third, count) in thirds {
                let values = [first, second, third].map(String::clone);
                samples.push((names.into_iter().zip(values).collect(), number(*count)));
            }
        }
    }
    samples
}

/// The samples of all clusters, each labelled with its cluster.
fn each(
    clusters: &[ClusterStatus],
    samples: impl Fn(&ClusterStatus) -> Vec<(Labels, f64)>,
) -> Vec<(Labels, f64)> {
    let all = clusters.iter().flat_map(|cluster| {
        let name = cluster.name.to_string();
        samples(cluster).into_iter().map(move |(labels, value)| {
            let mut all = vec![("cluster", name.clone())];
            all.extend(labels);
            (all, value)
        })
    });
    all.collect()
}

fn one(value: f64) -> Vec<(Labels, f64)> {
    vec![(vec![], value)]
}

fn gauge(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counter(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in samples {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

struct Histogram<'a>(&'a Durations);

impl EncodeMetric for Histogram<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Durations { count, sum_microseconds, buckets } = self.0;
        let within: u64 = buckets.iter().sum();
        let counts = buckets.iter().copied();
        let counts = counts.chain(std::iter::repeat(0)).take(Durations::BOUNDS.len());
        let bounded = Durations::BOUNDS.into_iter().zip(counts);
        let mut buckets: Vec<_> = bounded.collect();
        buckets.push((f64::INFINITY, count.saturating_sub(within)));
        let sum = number(*sum_microseconds) / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, *count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn number(n: u64) -> f64 {
    n as f64
}

fn size(n: usize) -> f64 {
    number(u64::try_from(n).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::control::status::{Publisher, story};
    use crate::model::build;

    #[test]
    fn every_metric_is_told_from_the_status() {
        let (publisher, status) = Publisher::new(["web".into()], build::now());
        publisher.publish(story::status(), build::now());
        publisher.count_deliveries("ops");
        let text = text(&status.borrow());
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        expect![[r#"
            tidegate_build_info{version="0.1.0"} 1.0
            tidegate_config_refused{} 0.0
            tidegate_config_needs_restart{} 0.0
            tidegate_notifications_total{target="ops",result="delivered"} 0.0
            tidegate_notifications_total{target="ops",result="lost"} 0.0
            tidegate_mode{cluster="web",mode="observe"} 0.0
            tidegate_mode{cluster="web",mode="recommend"} 0.0
            tidegate_mode{cluster="web",mode="act"} 1.0
            tidegate_paused{cluster="web"} 0.0
            tidegate_last_successful_evaluation_timestamp_seconds{cluster="web"} 1795251600.0
            tidegate_observation_age_seconds{cluster="web"} 3.0
            tidegate_leads{cluster="web"} 1.0
            tidegate_epoch{cluster="web"} 3.0
            tidegate_journal_pending{cluster="web"} 0.0
            tidegate_desired_capacity{cluster="web",pool="workers"} 5.0
            tidegate_ready_hosts{cluster="web",pool="workers"} 2.0
            tidegate_hosts{cluster="web",state="usable"} 2.0
            tidegate_hosts{cluster="web",state="launching"} 1.0
            tidegate_hosts{cluster="web",state="draining"} 1.0
            tidegate_hosts{cluster="web",state="agent_lost"} 1.0
            tidegate_hosts{cluster="web",state="other"} 0.0
            tidegate_unplaceable_tasks{cluster="web"} 2.0
            tidegate_reservation_percent{cluster="web",resource="cpu"} 81.3
            tidegate_reservation_percent{cluster="web",resource="memory"} 55.9
            tidegate_cost_dollars_per_hour{cluster="web",when="now"} 0.48
            tidegate_cost_dollars_per_hour{cluster="web",when="after_plan"} 0.576
            tidegate_cost_dollars_per_hour{cluster="web",when="if_allowed"} 0.48
            tidegate_budget_remaining{cluster="web",budget="draining_hosts"} 1.0
            tidegate_budget_remaining{cluster="web",budget="removed_hosts_per_hour"} 20.0
            tidegate_budget_remaining{cluster="web",budget="launched_units_per_hour"} 200.0
            tidegate_decisions_total{cluster="web",action="set_host_status",reason="agent_lost",result="held"} 1.0
            tidegate_decisions_total{cluster="web",action="set_pool_capacity",reason="short",result="done"} 1.0
            tidegate_guard_rejections_total{cluster="web",reason="not_allowed"} 1.0
            tidegate_aws_requests_total{cluster="web",service="ECS",operation="DescribeServices",result="no_answer"} 1.0
            tidegate_aws_requests_total{cluster="web",service="ECS",operation="DescribeServices",result="ok"} 40.0
            tidegate_aws_throttles_total{cluster="web"} 0.0
            tidegate_reconcile_duration_seconds_sum{cluster="web"} 0.12
            tidegate_reconcile_duration_seconds_count{cluster="web"} 1
            tidegate_reconcile_duration_seconds_bucket{le="0.01",cluster="web"} 0
            tidegate_reconcile_duration_seconds_bucket{le="0.05",cluster="web"} 0
            tidegate_reconcile_duration_seconds_bucket{le="0.1",cluster="web"} 0
            tidegate_reconcile_duration_seconds_bucket{le="0.25",cluster="web"} 1
            tidegate_reconcile_duration_seconds_bucket{le="0.5",cluster="web"} 1
            tidegate_reconcile_duration_seconds_bucket{le="1.0",cluster="web"} 1
            tidegate_reconcile_duration_seconds_bucket{le="2.5",cluster="web"} 1
            tidegate_reconcile_duration_seconds_bucket{le="5.0",cluster="web"} 1
            tidegate_reconcile_duration_seconds_bucket{le="10.0",cluster="web"} 1
            tidegate_reconcile_duration_seconds_bucket{le="30.0",cluster="web"} 1
            tidegate_reconcile_duration_seconds_bucket{le="+Inf",cluster="web"} 1"#]].assert_eq(&samples.join("\n"));
    }
}
