//! Rules of a load balancer as they are found, and what a configuration would move on them.
//!
//! The text is JSON: a listener, the traffic around it, moves, and paths that are asked for.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate::config::load;
use tidegate::cutover::listener::pattern::{Pattern, witness};
use tidegate::cutover::listener::{Move, Question, analyse, placed};
use tidegate::model::{Condition, Health, Listener, Owner, Purpose, RuleArn, RuleImage, Traffic};

/// Limits of the load balancer that cannot be raised (ELBv2 quotas), and of this law's patience.
const VALUE_MAX: usize = 128;
const WILDCARDS_MAX: usize = 5;
const VALUES_MAX: usize = 5;
const RULES_MAX: usize = 12;
const MOVES_MAX: usize = 3;
const LAST_PRIORITY: u16 = 50_000;

pub(super) fn law(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let Ok(json) = serde_json::from_str::<Value>(text) else {
        as_patterns(text);
        return;
    };
    let moves = moves(&json);
    configured(&moves);
    let Some(listener) = listener(&json) else { return };
    comes_back(&listener);
    let traffic = traffic(&json);
    let known: Vec<String> = texts(&json["known_paths"]);
    let from = json["from"].as_str().map(Into::into);
    let native = texts(&json["native"]).iter().map(|arn| arn.as_str().into()).collect();
    let question = Question {
        listener: &listener,
        traffic: &traffic,
        native_rules: &native,
        moves: &moves,
        from: from.as_ref(),
        known_paths: &known,
    };
    let findings = analyse(&question);
    assert_eq!(findings, analyse(&question));
    for finding in &findings {
        assert!(!finding.explanation.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
        let named = |rule: &RuleArn| listener.rules.iter().any(|found| found.arn == *rule);
        assert!(finding.rule.as_ref().is_none_or(named), "{finding:?}");
    }
    for moving in &moves {
        let Some(from) = &from else { continue };
        let Some(placed) = placed(&listener, from, &moves, &moving.to) else { continue };
        if let Some(priority) = placed.priority {
            assert!((1..=LAST_PRIORITY).contains(&priority), "{placed:?}");
            assert!(listener.rules.iter().all(|rule| rule.priority != priority), "{placed:?}");
            assert!(placed.above.is_none_or(|above| priority < above), "{placed:?}");
        }
        assert!(placed.image.weight_of(from) > 0, "{placed:?}");
    }
}

fn texts(json: &Value) -> Vec<String> {
    let texts = json.as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).take(VALUES_MAX).map(str::to_owned).collect()
}

fn wildcards(text: &str) -> usize {
    text.bytes().filter(|byte| b"*?".contains(byte)).count()
}

/// As the load balancer would have taken them.
fn fits<'a>(values: impl Iterator<Item = &'a String> + Clone) -> bool {
    values.clone().count() <= VALUES_MAX
        && values.clone().all(|value| value.len() <= VALUE_MAX)
        && values.map(|value| wildcards(value)).sum::<usize>() <= WILDCARDS_MAX
}

fn moves(json: &Value) -> Vec<Move> {
    let moves = json["moves"].as_array().into_iter().flatten().take(MOVES_MAX);
    let moves = moves.filter_map(|json| {
        Some(Move {
            to: json["to"].as_str()?.into(),
            paths: texts(&json["paths"]),
            hosts: texts(&json["hosts"]),
            group: json["group"].as_str().map(Into::into),
        })
    });
    moves.filter(|moving| fits(moving.paths.iter().chain(&moving.hosts))).collect()
}

fn listener(json: &Value) -> Option<Listener> {
    let mut listener: Listener = serde_json::from_value(json["listener"].clone()).ok()?;
    let values = |condition: &Condition| -> Vec<String> {
        match condition {
            Condition::Path { values }
            | Condition::Host { values }
            | Condition::Header { values, .. }
            | Condition::Method { values } => values.iter().cloned().collect(),
            Condition::Other { .. } => Vec::new(),
        }
    };
    let mut priorities = BTreeSet::new();
    listener.rules.truncate(RULES_MAX);
    listener.rules.retain(|rule| {
        let all: Vec<String> = rule.conditions.iter().flat_map(values).collect();
        fits(all.iter())
            && (1..=LAST_PRIORITY).contains(&rule.priority)
            && priorities.insert(rule.priority)
    });
    listener.rules.sort_by_key(|rule| rule.priority);
    Some(listener)
}

/// Targets are counted one by one, so there are never as many as a number can say.
fn traffic(json: &Value) -> Traffic {
    let mut traffic: Traffic = serde_json::from_value(json["traffic"].clone()).unwrap_or_default();
    let healths = traffic.groups.values_mut().filter_map(|group| group.health.as_mut());
    for health in healths {
        let Health { healthy, unhealthy, initial, draining, unused } = health;
        for count in [healthy, unhealthy, initial, draining, unused] {
            *count = (*count).min(5_000);
        }
    }
    traffic
}

fn comes_back(listener: &Listener) {
    let again: Listener = serde_json::from_value(json!(listener)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(&again, listener);
    for rule in &listener.rules {
        let _any = Condition::list(&rule.conditions);
        image(&rule.image);
        if let Owner::Tidegate(purpose) = &rule.owner {
            assert_eq!(purpose.to_string().parse::<Purpose>().as_ref(), Ok(purpose));
        }
    }
    image(&listener.default);
}

/// Shares are shares of what is there.
fn image(image: &RuleImage) {
    for group in image.weights().into_iter().flat_map(|weights| weights.keys()) {
        assert!(image.names(group) && image.percent_of(group) <= 100);
    }
    let _any = image.to_string();
}

/// What is moved is read from a configuration as it was written, or refused there.
fn configured(moves: &[Move]) {
    let routes = moves
        .iter()
        .map(|moving| json!({ "to": moving.to, "paths": moving.paths, "hosts": moving.hosts }));
    let cluster = json!({
        "name": "web", "pools": [{ "asg": "web" }],
        "cutovers": [{
            "name": "break", "listener": "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/a/1/2",
            "from": "monolith", "routes": routes.collect::<Vec<_>>(),
        }],
    });
    let file = json!({ "version": 1, "clusters": [cluster] }).to_string();
    let Ok(config) = load(&file, "tidegate.yaml") else { return };
    let routes = config.clusters.iter().flat_map(|c| &c.cutovers).flat_map(|c| &c.routes);
    for (route, moving) in routes.zip(moves) {
        assert_eq!(route.to, moving.to);
        let (paths, hosts) = (route.paths.iter(), route.hosts.iter());
        assert!(paths.eq(moving.paths.iter()) && hosts.eq(moving.hosts.iter()), "{file}");
    }
}

/// Lines as patterns, and each as a word.
fn as_patterns(text: &str) {
    let lines: Vec<&str> = text.lines().filter(|line| line.len() <= VALUE_MAX).take(4).collect();
    let lines: Vec<&str> =
        lines.into_iter().filter(|line| wildcards(line) <= WILDCARDS_MAX).collect();
    for one in &lines {
        let pattern = Pattern::new(one);
        assert!(pattern.covers(&pattern) && pattern.as_str() == *one);
        assert_eq!(pattern.wildcards(), wildcards(one));
        for other in &lines {
            assert_eq!(pattern.matches(other), is_match(one, other), "`{one}` and `{other}`");
            assert_eq!(pattern.covers(&Pattern::literal(other)), pattern.matches(other));
            let other_pattern = Pattern::new(other);
            let shared = pattern.overlap(&other_pattern);
            assert_eq!(shared.is_some(), other_pattern.overlap(&pattern).is_some());
            if let Some(word) = &shared {
                assert!(is_match(one, word) && is_match(other, word), "`{word}`");
            }
            match witness(&[&pattern], &[&other_pattern]) {
                Some(word) => assert!(is_match(one, &word) && !is_match(other, &word), "`{word}`"),
                None => assert!(other_pattern.covers(&pattern)),
            }
        }
    }
}

/// The definition of a match, plain: which places of the word each sign can end at.
fn is_match(pattern: &str, word: &str) -> bool {
    let word: Vec<char> = word.chars().collect();
    let mut reached = vec![false; word.len() + 1];
    reached[0] = true;
    for sign in pattern.chars() {
        let mut next = vec![false; word.len() + 1];
        for place in 0..=word.len() {
            if sign == '*' {
                next[place] = reached[place] || (place > 0 && next[place - 1]);
            } else if place > 0 {
                next[place] = reached[place - 1] && (sign == '?' || sign == word[place - 1]);
            }
        }
        reached = next;
    }
    reached[word.len()]
}
