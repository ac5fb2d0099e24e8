//! When a change of a rule takes effect: some seconds after it was written, each on its own.
//!
//! Rule: of two changes of one rule the later one wins, whichever arrives first; between rules
//! there is no order at all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::rules::Rule;
use super::world::Listener;

/// The listener a rule is on, and the rule.
type Placed = (String, Rule);

/// What the rules are, and what is on its way to them.
#[derive(Debug, Default)]
pub struct Propagation {
    in_effect: BTreeMap<String, Placed>,
    written: BTreeMap<String, Placed>,
    on_their_way: Vec<Change>,
    has_seen: bool,
}

#[derive(Debug)]
struct Change {
    due: Instant,
    rule: String,
    /// None deletes it.
    to: Option<Placed>,
}

impl Propagation {
    /// Notes what was written since the last time. What is seen first is in effect at once.
    pub fn see(&mut self, shown: &[Listener], now: Instant, mut delay: impl FnMut() -> Duration) {
        let placed = shown.iter().flat_map(|listener| {
            let rules = listener.rules.iter();
            rules.map(|rule| (rule.arn.clone(), (listener.arn.clone(), rule.clone())))
        });
        let read: BTreeMap<_, _> = placed.collect();
        if !self.has_seen {
            self.has_seen = true;
            self.in_effect.clone_from(&read);
        } else if read != self.written {
            let gone = self.written.keys().filter(|arn| !read.contains_key(*arn));
            let gone = gone.map(|arn| (arn.clone(), None));
            let new = read.iter().filter(|(arn, placed)| self.written.get(*arn) != Some(placed));
            let new = new.map(|(arn, placed)| (arn.clone(), Some(placed.clone())));
            for (rule, to) in gone.chain(new) {
                self.on_their_way.push(Change { due: now + delay(), rule, to });
            }
        }
        self.written = read;
    }

    /// Puts into effect what is due, and names the rules it changed.
    pub fn advance(&mut self, now: Instant) -> Vec<String> {
        let mut changed = Vec::new();
        // Newest first: what an earlier write said of the same rule is void.
        while let Some(at) = self.on_their_way.iter().rposition(|change| change.due <= now) {
            let Change { rule, to, .. } = self.on_their_way.remove(at);
            let mut position = 0;
            self.on_their_way.retain(|earlier| {
                position += 1;
                position > at || earlier.rule != rule
            });
            match to {
                Some(placed) => drop(self.in_effect.insert(rule.clone(), placed)),
                None => drop(self.in_effect.remove(&rule)),
            }
            changed.push(rule);
        }
        changed
    }

    /// The rules of a listener in the order in which they are tried.
    pub fn rules_of(&self, listener: &str) -> Vec<&Rule> {
        let mine = self.in_effect.values().filter(|(on, _)| on == listener);
        let mut mine: Vec<_> = mine.map(|(_, rule)| rule).collect();
        mine.sort_by_key(|rule| rule.priority.unwrap_or(u32::MAX));
        mine
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment serves as the first")]
mod tests {
    use super::*;

    fn listener(rules: &[(&str, u32)]) -> Vec<Listener> {
        let rule = |(arn, priority): &(&str, u32)| Rule {
            arn: (*arn).to_owned(),
            priority: Some(*priority),
            conditions: Vec::new(),
            actions: Vec::new(),
        };
        let rules = rules.iter().map(rule).collect();
        vec![Listener { arn: "l".into(), load_balancer: "b".into(), port: 80, rules }]
    }

    fn priorities(rules: &Propagation) -> Vec<Option<u32>> {
        rules.rules_of("l").iter().map(|rule| rule.priority).collect()
    }

    #[test]
    fn changes_take_effect_late_and_the_later_write_wins() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut rules = Propagation::default();
        rules.see(&listener(&[("a", 1), ("b", 2)]), start, || unreachable!("seen first"));
        assert_eq!(priorities(&rules), [Some(1), Some(2)]);
        rules.see(&listener(&[("a", 5), ("b", 2)]), start, || Duration::from_secs(9));
        rules.see(&listener(&[("a", 6), ("b", 2)]), start, || Duration::from_secs(3));
        rules.see(&listener(&[("a", 6)]), start, || Duration::from_secs(4));
        assert!(rules.advance(second(2)).is_empty());
        assert_eq!(rules.advance(second(3)), ["a"]);
        assert_eq!(priorities(&rules), [Some(2), Some(6)]);
        assert_eq!(rules.advance(second(4)), ["b"]);
        assert!(rules.advance(second(60)).is_empty());
        assert_eq!(priorities(&rules), [Some(6)]);
    }
}
