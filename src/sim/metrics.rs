//! What CloudWatch tells of target groups: datapoints of a period, visible some time after it.
//!
//! Rule: no requests, no datapoint; what no target could be chosen for is not counted here, as
//! with AWS.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::Load;

use super::balancer::{Balancing, SimGroup};
use super::delays;
use super::requests::Latency;
use super::world::World;

/// How many datapoints of a group are kept: a day of minutes.
const POINTS_MAX: usize = 1440;

/// How often CloudWatch has a datapoint, and how long after its end it shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    pub period_seconds: u32,
    pub visible_after: (TimeDelta, TimeDelta),
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            period_seconds: delays::METRIC_PERIOD_SECONDS,
            visible_after: delays::METRIC_VISIBLE,
        }
    }
}

/// One datapoint, open while its period lasts.
#[derive(Clone, Debug)]
pub(super) struct Point {
    at: DateTime<Utc>,
    requests: u64,
    errors: u64,
    /// Requests that took time, and each percentile times them.
    timed: u64,
    latency_sums: [u64; 3],
    visible_at: DateTime<Utc>,
}

impl World {
    /// Sets the period of datapoints that begin from now on, and when they are seen.
    pub fn set_metrics(&mut self, metrics: Metrics) {
        self.traffic.metrics = metrics;
    }
}

impl Balancing {
    /// Counts what one group served just now; `latency` is of the answered ones.
    pub(super) fn count(
        &mut self,
        arn: &crate::model::TargetGroupArn,
        now: DateTime<Utc>,
        (requests, errors, timed): (u64, u64, u64),
        latency: Latency,
    ) {
        let Some(group) = self.groups.get_mut(arn) else {
            return;
        };
        let period = i64::from(self.metrics.period_seconds.max(1));
        let start = (now.timestamp() - 1).div_euclid(period) * period;
        let at = DateTime::from_timestamp(start, 0).unwrap_or(now);
        if group.points.back().is_none_or(|point| point.at != at) {
            let (least, most) = self.metrics.visible_after;
            let lag = self.rng.time_between(least, most);
            let visible_at = at + TimeDelta::seconds(period) + lag;
            let (requests, errors, timed) = (0, 0, 0);
            let point = Point { at, requests, errors, timed, latency_sums: [0; 3], visible_at };
            group.points.push_back(point);
            while group.points.len() > POINTS_MAX {
                group.points.pop_front();
            }
        }
        group.since_scaled += requests;
        if let Some(point) = group.points.back_mut() {
            point.requests += requests;
            point.errors += errors;
            point.timed += timed;
            let values = [latency.p50_ms, latency.p95_ms, latency.p99_ms];
            for (sum, value) in point.latency_sums.iter_mut().zip(values) {
                *sum += timed * u64::from(value);
            }
        }
    }
}

impl SimGroup {
    /// What is seen by now of the load since then, in periods of at least so many seconds.
    pub(super) fn load(
        &self,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
        metrics: Metrics,
        period: u32,
    ) -> Vec<Load> {
        let period_seconds = period.max(metrics.period_seconds).max(1);
        let start_of = |at: DateTime<Utc>| {
            let period = i64::from(period_seconds);
            at.timestamp().div_euclid(period) * period
        };
        let seen = self.points.iter().filter(|point| point.visible_at <= now && point.at >= since);
        let mut loads: Vec<Point> = Vec::new();
        for point in seen {
            match loads.last_mut() {
                Some(last) if start_of(last.at) == start_of(point.at) => last.join(point),
                _ => loads.push(point.clone()),
            }
        }
        let told = |point: &Point| point.told(start_of(point.at), period_seconds);
        loads.iter().map(told).collect()
    }
}

impl Point {
    fn join(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.timed += other.timed;
        for (sum, more) in self.latency_sums.iter_mut().zip(other.latency_sums) {
            *sum += more;
        }
    }

    fn told(&self, start: i64, period_seconds: u32) -> Load {
        let mean = |sum: u64| u32::try_from(sum.checked_div(self.timed)?).ok();
        let [p50, p95, p99] = self.latency_sums.map(mean);
        Load {
            at: DateTime::from_timestamp(start, 0).unwrap_or(self.at),
            period_seconds,
            requests: self.requests,
            errors_5xx: self.errors,
            latency_p50_ms: p50,
            latency_p95_ms: p95,
            latency_p99_ms: p99,
        }
    }
}
