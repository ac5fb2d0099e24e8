//! The world's only source of chance: `SplitMix64` (Steele, Lea, Flood 2014), seeded and printed.
//!
//! Rule: integers only, so that one seed gives the same numbers on every machine.

use chrono::TimeDelta;

/// A stream of numbers that its seed determines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 up to, not including, `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// Evenly from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high + 1).saturating_sub(low))
    }

    /// True this many times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// One of them; `None` of none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let index = self.below(of.len() as u64);
        of.get(usize::try_from(index).ok()?)
    }

    /// Evenly from `low` to `high`, by milliseconds.
    pub fn time_between(&mut self, low: TimeDelta, high: TimeDelta) -> TimeDelta {
        let span = u64::try_from((high - low).num_milliseconds()).unwrap_or(0);
        let extra = i64::try_from(self.below(span + 1)).unwrap_or(0);
        low + TimeDelta::milliseconds(extra)
    }

    /// A duration drawn from a distribution given by points `(per mille, seconds)`, joined by
    /// straight lines; the first stands at 0, the last at 1,000.
    pub fn quantile(&mut self, points: &[(u64, u64)]) -> TimeDelta {
        let at = self.below(1_000_000);
        let line = points.windows(2).find(|w| at < w[1].0 * 1000);
        let Some(&[(from, low), (to, high)]) = line else {
            return TimeDelta::zero();
        };
        let share = at - from * 1000;
        let millis = low * 1000 + (high - low) * share / (to - from);
        TimeDelta::milliseconds(i64::try_from(millis).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::delays;

    #[test]
    fn launch_delays_have_the_quantiles_they_were_given() {
        let mut rng = Rng::new(1);
        let mut seconds: Vec<i64> =
            (0..10_000).map(|_| rng.quantile(delays::LAUNCH).num_seconds()).collect();
        seconds.sort_unstable();
        let quantiles = [5000, 9500, 9900].map(|rank| seconds[rank]);
        for (found, wanted) in quantiles.into_iter().zip([75, 120, 180]) {
            assert!((found - wanted).abs() <= wanted / 20, "{quantiles:?}");
        }
    }

    #[test]
    fn chance_is_as_frequent_as_asked() {
        let mut rng = Rng::new(2);
        let hits = (0..10_000).filter(|_| rng.chance(250)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert_eq!((rng.chance(0), rng.chance(1000)), (false, true));
    }
}
