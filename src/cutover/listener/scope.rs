//! Which requests a rule takes, and a request that some rules take and others leave.
//!
//! Rule: exact in path and host. In headers, methods and the rest a rule counts as taking all of
//! another's requests only if its condition alone allows all that the other's allows.

use std::collections::BTreeSet;
use std::fmt;

use super::pattern::{Pattern, witness};
use crate::model::Condition;

/// The requests that a list of conditions takes: one path, one host and all the rest.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub paths: Vec<Pattern>,
    pub hosts: Vec<Pattern>,
    pub rest: BTreeSet<Condition>,
}

/// A request as an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub path: String,
    /// Only where the host makes a difference.
    pub host: Option<String>,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}{}`", self.host.as_deref().unwrap_or_default(), self.path)
    }
}

impl Scope {
    /// What no condition narrows.
    pub(super) fn all() -> Self {
        Self::of(&BTreeSet::new())
    }

    pub(super) fn of(conditions: &BTreeSet<Condition>) -> Self {
        let (mut paths, mut hosts, mut rest) = (Vec::new(), Vec::new(), BTreeSet::new());
        for condition in conditions {
            match condition {
                Condition::Path { values } => paths.extend(values.iter().map(|v| Pattern::new(v))),
                Condition::Host { values } => hosts.extend(values.iter().map(|v| Pattern::host(v))),
                other => {
                    rest.insert(other.clone());
                }
            }
        }
        Self { paths: or_any(paths), hosts: or_any(hosts), rest }
    }

    /// These patterns of paths on every host, without other conditions.
    pub(super) fn of_paths(paths: Vec<Pattern>) -> Self {
        Self { paths, ..Self::all() }
    }

    /// The same but for its paths.
    pub(super) fn with_path(&self, path: &Pattern) -> Self {
        Self { paths: vec![path.clone()], ..self.clone() }
    }

    pub(super) fn any_host(&self) -> bool {
        self.hosts.iter().any(|host| host.as_str() == "*")
    }

    /// Whether it takes every request of another by itself.
    pub(super) fn covers(&self, other: &Self) -> bool {
        example(&[other], &[self]).is_none()
    }

    /// Whether path and host are its own; the rest is not asked.
    fn takes(&self, path: &str, host: &str) -> bool {
        self.paths.iter().any(|pattern| pattern.matches(path))
            && self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    pub(super) fn overlap(&self, other: &Self) -> Option<Request> {
        example(&[self, other], &[])
    }

    /// Whether some request that all of `within` take fails a condition of this scope's rest.
    fn can_be_missed(&self, within: &[&Self]) -> bool {
        let given = || within.iter().flat_map(|scope| &scope.rest);
        !self.rest.iter().all(|wanted| given().any(|condition| implies(condition, wanted)))
    }
}

fn or_any(patterns: Vec<Pattern>) -> Vec<Pattern> {
    if patterns.is_empty() { vec![Pattern::new("*")] } else { patterns }
}

/// A request that all of `within` and none of `outside` take.
pub(super) fn example(within: &[&Scope], outside: &[&Scope]) -> Option<Request> {
    let rests: Vec<_> = within.iter().flat_map(|scope| &scope.rest).collect();
    if rests.iter().any(|one| rests.iter().any(|other| exclude(one, other))) {
        return None;
    }
    let mut outside: Vec<_> =
        outside.iter().copied().filter(|scope| !scope.can_be_missed(within)).collect();
    // What only another path can miss comes first, so that little is tried in vain.
    outside.sort_by_key(|scope| !scope.any_host());
    let hosts = choices(within.iter().map(|scope| &scope.hosts));
    // Whatever it is that was asked for, a path begins with a slash, and a host has a letter.
    let (slash, letter) = (Pattern::new("/*"), Pattern::new("?*"));
    choices(within.iter().map(|scope| &scope.paths)).into_iter().find_map(|mut paths| {
        paths.push(&slash);
        hosts.iter().find_map(|hosts| {
            let mut hosts = hosts.clone();
            hosts.push(&letter);
            let search = Search { paths: &paths, hosts: &hosts };
            let first = (search.path(&[])?, search.host(&[])?);
            search.avoiding(&outside, first, (&[], &[]))
        })
    })
}

/// One of each list, in every way.
fn choices<'a>(lists: impl Iterator<Item = &'a Vec<Pattern>>) -> Vec<Vec<&'a Pattern>> {
    lists.fold(vec![Vec::new()], |chosen, list| {
        let with = |head: &Vec<&'a Pattern>| {
            let head = head.clone();
            list.iter().map(move |next| [head.as_slice(), &[next]].concat()).collect::<Vec<_>>()
        };
        chosen.iter().flat_map(with).collect()
    })
}

/// A path that all of these match, and a host.
struct Search<'a> {
    paths: &'a [&'a Pattern],
    hosts: &'a [&'a Pattern],
}

impl Search<'_> {
    fn path(&self, but: &[&Pattern]) -> Option<String> {
        witness(self.paths, but)
    }

    fn host(&self, but: &[&Pattern]) -> Option<String> {
        let fits = |word: &String| {
            let all = self.hosts.iter().all(|host| host.matches(word));
            all && !but.iter().any(|host| host.matches(word))
        };
        // A host that people take for one, if there is any.
        let named =
            self.hosts.iter().map(|host| host.as_str().replace('*', "other").replace('?', "x"));
        let mut readable = ["other.example".to_owned()].into_iter().chain(named);
        readable.find(fits).or_else(|| witness(self.hosts, but))
    }

    /// A request is tried; a scope that takes it must be missed by another path or another host.
    fn avoiding(
        &self,
        outside: &[&Scope],
        (path, host): (String, String),
        (not_paths, not_hosts): (&[&Pattern], &[&Pattern]),
    ) -> Option<Request> {
        let Some(taker) = outside.iter().find(|scope| scope.takes(&path, &host)) else {
            let wide = self.hosts.iter().all(|host| matches!(host.as_str(), "*" | "?*"));
            let near = |scope: &&&Scope| scope.paths.iter().any(|own| own.matches(&path));
            let any = wide && outside.iter().filter(near).all(|scope| scope.any_host());
            return Some(Request { path, host: (!any).then_some(host) });
        };
        let by_path: Vec<_> = not_paths.iter().copied().chain(&taker.paths).collect();
        let elsewhere = self
            .path(&by_path)
            .and_then(|path| self.avoiding(outside, (path, host.clone()), (&by_path, not_hosts)));
        elsewhere.or_else(|| {
            let by_host: Vec<_> = not_hosts.iter().copied().chain(&taker.hosts).collect();
            let host = self.host(&by_host)?;
            self.avoiding(outside, (path, host), (not_paths, &by_host))
        })
    }
}

/// Whether every request that meets the first condition meets the second.
fn implies(given: &Condition, wanted: &Condition) -> bool {
    use Condition::{Header, Method};
    match (given, wanted) {
        (Method { values: given }, Method { values: wanted }) => given.is_subset(wanted),
        (Header { name, values }, Header { name: other, values: wanted }) => {
            let wanted: Vec<_> = wanted.iter().map(|value| Pattern::host(value)).collect();
            let wanted: Vec<_> = wanted.iter().collect();
            name.eq_ignore_ascii_case(other)
                && values.iter().all(|value| witness(&[&Pattern::host(value)], &wanted).is_none())
        }
        _ => given == wanted,
    }
}

/// Whether no request meets both.
fn exclude(one: &Condition, other: &Condition) -> bool {
    use Condition::{Header, Method};
    match (one, other) {
        (Method { values: one }, Method { values: other }) => one.is_disjoint(other),
        (Header { name, values }, Header { name: second, values: others }) => {
            let meet = |value: &String| {
                let value = Pattern::host(value);
                others.iter().any(|other| value.overlap(&Pattern::host(other)).is_some())
            };
            name.eq_ignore_ascii_case(second) && !values.iter().any(meet)
        }
        _ => false,
    }
}
