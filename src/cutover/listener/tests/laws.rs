//! Statements for all patterns, and how long a full listener takes.

use proptest::prelude::*;

use super::super::scope::{Request, Scope, example};
use super::*;

#[test]
fn a_full_listener_is_analysed_while_one_waits() {
    let groups = ["a", "b", "c"].map(|name| RuleImage::forward_to(&arn(name)));
    let mut stage = stage("web", &["web"]);
    for n in 0..100_u16 {
        let paths = [0, 1, 2].map(|k| format!("/{}/*/{k}*", n % 17));
        let hosts = Condition::Host {
            values: [format!("{}.example.com", n % 5), format!("*.{}.com", n % 7)].into(),
        };
        let image = groups[usize::from(n) % 3].clone();
        let paths = path(&paths.each_ref().map(String::as_str));
        stage = match n % 4 {
            0 => stage.with_rule(n + 1, [paths], image),
            _ => stage.with_rule(n + 1, [paths, hosts], image),
        };
    }
    assert!(
        stage.moves("a", &[("b", &["/1/*", "/2/?/*"]), ("c", &["/3/*"])]).findings().len() > 10
    );
}

fn scope_strategy() -> impl Strategy<Value = Scope> {
    let paths = prop::collection::vec("/[ab*?]{0,3}", 1..3);
    let hosts = prop::collection::vec("[ab*?]{1,2}", 0..3);
    (paths, hosts).prop_map(|(paths, hosts)| {
        let path = Condition::Path { values: paths.into_iter().collect() };
        let host = Condition::Host { values: hosts.into_iter().collect() };
        Scope::of(&BTreeSet::from([path, host]))
    })
}

fn takes(scope: &Scope, path: &str, host: &str) -> bool {
    let any =
        |patterns: &[Pattern], word| patterns.iter().any(|p| p.covers(&Pattern::literal(word)));
    any(&scope.paths, path) && any(&scope.hosts, host)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn an_example_is_taken_by_those_within_and_missed_by_those_outside(
        within in prop::collection::vec(scope_strategy(), 1..3),
        outside in prop::collection::vec(scope_strategy(), 0..4),
    ) {
        let found =
            example(&within.iter().collect::<Vec<_>>(), &outside.iter().collect::<Vec<_>>());
        let proves = |path: &str, host: &str| {
            within.iter().all(|scope| takes(scope, path, host))
                && !outside.iter().any(|scope| takes(scope, path, host))
        };
        match found {
            Some(Request { path, host }) => {
                let host = host.unwrap_or_else(|| "any".to_owned());
                prop_assert!(proves(&path, &host), "{path} {host}");
            }
            None => {
                let words = ["", "a", "b", "x", "aa", "ab", "ba", "ax", "xb", "aba", "xxx"];
                for (path, host) in words.iter().flat_map(|p| words[1..].iter().map(move |h| (p, h))) {
                    prop_assert!(!proves(&format!("/{path}"), host), "/{path} {host}");
                }
            }
        }
    }
}
