//! What CloudWatch will be told: requests, errors and response times by load balancer and group.
//!
//! Rule: counted as AWS counts. A request belongs to a group only if a target was chosen for it,
//! and has a response time only if a target answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::Counted;

/// Response times are kept to about two percent.
const STEP: f64 = 1.02;

#[derive(Debug, Default)]
pub struct Meter {
    counts: BTreeMap<(String, Option<String>), Count>,
}

#[derive(Debug, Default)]
struct Count {
    requests: u64,
    target_5xx: u64,
    elb_5xx: u64,
    unreached: u64,
    /// By the power of [`STEP`], in microseconds.
    times: BTreeMap<i32, u64>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// A target answered, after this time.
    Answered { status: u16, time: Duration },
    /// The load balancer answered 502 or 504 for a target that did not.
    Failed { unreached: bool },
    /// The load balancer answered for itself.
    Own { status: u16 },
}

impl Meter {
    pub fn note(&mut self, load_balancer: &str, group: Option<&str>, ending: Ending) {
        if let Some(group) = group {
            let key = (load_balancer.to_owned(), Some(group.to_owned()));
            let count = self.counts.entry(key).or_default();
            count.requests += 1;
            match ending {
                Ending::Answered { status, time } => {
                    count.target_5xx += u64::from(status >= 500);
                    *count.times.entry(power_of(time)).or_default() += 1;
                }
                Ending::Failed { unreached } => count.unreached += u64::from(unreached),
                Ending::Own { .. } => {}
            }
        }
        let own_error = match ending {
            Ending::Answered { .. } => false,
            Ending::Failed { .. } => true,
            Ending::Own { status } => status >= 500,
        };
        if own_error {
            let key = (load_balancer.to_owned(), None);
            self.counts.entry(key).or_default().elb_5xx += 1;
        }
    }

    /// Everything counted since the last call, as datapoints of a period that began at `at`.
    pub fn take(&mut self, at: f64, delay: f64) -> Vec<Counted> {
        let counts = std::mem::take(&mut self.counts);
        let counted = |((load_balancer, target_group), count): ((_, _), Count)| Counted {
            at,
            delay,
            load_balancer,
            target_group,
            requests: count.requests,
            target_5xx: count.target_5xx,
            elb_5xx: count.elb_5xx,
            unreached: count.unreached,
            seconds: count.times.iter().map(|(power, n)| (seconds_of(*power), *n)).collect(),
        };
        counts.into_iter().map(counted).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a time is small")]
fn power_of(time: Duration) -> i32 {
    (time.as_secs_f64().max(1e-6) * 1e6).log(STEP).round() as i32
}

fn seconds_of(power: i32) -> f64 {
    STEP.powi(power) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_time_is_kept_to_two_percent() {
        for millis in [1, 7, 300, 60_000] {
            let time = Duration::from_millis(millis);
            let kept = seconds_of(power_of(time)) / time.as_secs_f64();
            assert!((0.985..1.015).contains(&kept), "{millis}: {kept}");
        }
    }

    #[test]
    fn errors_of_the_load_balancer_have_no_group() {
        let mut meter = Meter::default();
        let time = Duration::from_millis(5);
        meter.note("lb", Some("blue"), Ending::Answered { status: 500, time });
        meter.note("lb", Some("blue"), Ending::Failed { unreached: true });
        meter.note("lb", None, Ending::Own { status: 503 });
        let counted = meter.take(0.0, 1.0);
        let of = |group: Option<&str>| {
            let one = counted.iter().find(|each| each.target_group.as_deref() == group);
            one.map(|each| (each.requests, each.target_5xx, each.elb_5xx, each.unreached))
        };
        assert_eq!(of(None), Some((0, 0, 2, 0)));
        assert_eq!(of(Some("blue")), Some((2, 1, 0, 1)));
        assert!(meter.take(1.0, 1.0).is_empty());
    }
}
