//! Reads of CloudWatch: what target groups served, and alarms that operators name.
//!
//! 5xx answers are those of the targets, and connections to targets that failed: the load balancer
//! answers these with a 5xx of its own, which CloudWatch counts for no target group.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudwatch::types::{
    AlarmType, Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StateValue, StatusCode,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::try_join_all;

use super::clients::Reads;
use super::failure::implausible;
use super::rows::{TargetGroupRow, time};
use crate::model::*;

/// Most queries `GetMetricData` takes (API reference).
const QUERIES_MAX: usize = 500;
const LOAD_SOURCE: &str = "cloudwatch:GetMetricData";

/// What is asked of each group: name and statistic.
const METRICS: [(&str, &str); 6] = [
    ("RequestCount", "Sum"),
    ("HTTPCode_Target_5XX_Count", "Sum"),
    ("TargetConnectionErrorCount", "Sum"),
    ("TargetResponseTime", "p50"),
    ("TargetResponseTime", "p95"),
    ("TargetResponseTime", "p99"),
];

/// Values by the start of their period, one map for each of [`METRICS`].
type Series = [BTreeMap<DateTime<Utc>, f64>; METRICS.len()];

impl Reads {
    /// `GetMetricData` of all groups that a load balancer names. Only periods that are over.
    pub(super) async fn load(
        &self,
        groups: impl Iterator<Item = &TargetGroupRow>,
        need: &TrafficNeed,
        at: DateTime<Utc>,
    ) -> Result<BTreeMap<TargetGroupArn, Vec<Load>>, Gap> {
        let period = need.load_period_seconds.max(1);
        let until = at - TimeDelta::seconds(at.timestamp().rem_euclid(period.into()));
        let Some(since) = need.load_since.filter(|since| *since < until) else {
            return Ok(BTreeMap::new());
        };
        let groups: Vec<_> = groups
            .filter_map(|row| Some((&row.arn, dimensions(&row.arn, row.load_balancers.first()?)?)))
            .collect();
        let calls = groups.chunks(QUERIES_MAX / METRICS.len());
        let calls = calls.map(|chunk| self.load_page(chunk, period, (since, until)));
        let pages = try_join_all(calls).await?;
        Ok(pages.into_iter().flatten().collect())
    }

    async fn load_page(
        &self,
        groups: &[(&TargetGroupArn, [Dimension; 2])],
        period: u32,
        (since, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<(TargetGroupArn, Vec<Load>)>, Gap> {
        let queries = groups.iter().enumerate().flat_map(|(g, (_, dimensions))| {
            (0..METRICS.len()).map(move |m| query(g, m, dimensions, period))
        });
        let call = self
            .cloudwatch
            .get_metric_data()
            .set_metric_data_queries(Some(queries.collect()))
            .start_time(aws_smithy_types::DateTime::from_secs(since.timestamp()))
            .end_time(aws_smithy_types::DateTime::from_secs(until.timestamp()))
            .scan_by(ScanBy::TimestampAscending);
        let pages = self.pages(LOAD_SOURCE, call.into_paginator().send()).await?;
        let mut series: Vec<Series> = groups.iter().map(|_| Series::default()).collect();
        for result in pages.iter().flat_map(|page| page.metric_data_results()) {
            if matches!(
                result.status_code(),
                Some(StatusCode::InternalError | StatusCode::Forbidden)
            ) {
                return Err(implausible(LOAD_SOURCE, "CloudWatch could not read a metric"));
            }
            let Some((g, m)) = result.id().and_then(place) else {
                continue;
            };
            let Some(values) = series.get_mut(g).and_then(|series| series.get_mut(m)) else {
                continue;
            };
            let points = result.timestamps().iter().zip(result.values());
            values.extend(points.filter_map(|(at, value)| Some((time(Some(at))?, *value))));
        }
        let arns = groups.iter().map(|(arn, _)| (*arn).clone());
        Ok(arns.zip(series.iter().map(|series| loads(series, period))).collect())
    }

    /// `DescribeAlarms` of these, by name.
    pub(super) async fn alarms(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, (Said, String)>, Gap> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let call = self
            .cloudwatch
            .describe_alarms()
            .set_alarm_names(Some(names.iter().take(100).cloned().collect()))
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm);
        let pages = self.pages("cloudwatch:DescribeAlarms", call.into_paginator().send()).await?;
        let metric = pages.iter().flat_map(|page| page.metric_alarms());
        let metric = metric.map(|a| (a.alarm_name(), a.state_value(), a.state_reason()));
        let composite = pages.iter().flat_map(|page| page.composite_alarms());
        let composite = composite.map(|a| (a.alarm_name(), a.state_value(), a.state_reason()));
        Ok(metric
            .chain(composite)
            .filter_map(|(name, state, reason)| {
                let said = match state? {
                    StateValue::Ok => Said::Pass,
                    StateValue::Alarm => Said::Fail,
                    _ => Said::Inconclusive,
                };
                Some((name?.to_owned(), (said, reason.unwrap_or_default().to_owned())))
            })
            .collect())
    }
}

/// `app/NAME/ID` and `targetgroup/NAME/ID`, as the ARNs end.
fn dimensions(group: &TargetGroupArn, balancer: &LoadBalancerArn) -> Option<[Dimension; 2]> {
    let group = group.as_str().rsplit(':').next()?;
    let (_, balancer) = balancer.as_str().rsplit_once(":loadbalancer/")?;
    let of = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    Some([of("LoadBalancer", balancer), of("TargetGroup", group)])
}

fn query(group: usize, metric: usize, dimensions: &[Dimension], period: u32) -> MetricDataQuery {
    let (name, statistic) = METRICS[metric];
    let of = Metric::builder()
        .namespace("AWS/ApplicationELB")
        .metric_name(name)
        .set_dimensions(Some(dimensions.to_vec()))
        .build();
    let stat = MetricStat::builder()
        .metric(of)
        .stat(statistic)
        .period(i32::try_from(period).unwrap_or(i32::MAX))
        .build();
    MetricDataQuery::builder().id(format!("g{group}m{metric}")).metric_stat(stat).build()
}

fn place(id: &str) -> Option<(usize, usize)> {
    let (group, metric) = id.strip_prefix('g')?.split_once('m')?;
    Some((group.parse().ok()?, metric.parse().ok()?))
}

/// One entry for each period with requests. No datapoint of errors then means none.
fn loads(series: &Series, period_seconds: u32) -> Vec<Load> {
    let [requests, errors, broken, p50, p95, p99] = series;
    let load = |(at, requests): (&DateTime<Utc>, &f64)| {
        let requests = whole(*requests);
        let failed = [errors, broken].into_iter().filter_map(|of| of.get(at));
        let latency = |of: &BTreeMap<_, f64>| {
            of.get(at).and_then(|seconds| u32::try_from(whole(seconds * 1000.0)).ok())
        };
        Load {
            at: *at,
            period_seconds,
            requests,
            errors_5xx: failed.map(|n| whole(*n)).sum::<u64>().min(requests),
            latency_p50_ms: latency(p50),
            latency_p95_ms: latency(p95),
            latency_p99_ms: latency(p99),
        }
    };
    requests.iter().map(load).collect()
}

/// CloudWatch counts in floating point.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
fn whole(value: f64) -> u64 {
    const MAX: f64 = 9_007_199_254_740_992.0;
    if value.is_finite() { value.round().clamp(0.0, MAX) as u64 } else { 0 }
}
