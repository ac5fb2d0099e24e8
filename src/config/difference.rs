//! What another configuration would change, and what of it without a restart.
//!
//! Rule: settings are compared as they are shown, cluster by cluster, so that nothing is forgotten.

use std::collections::BTreeMap;
use std::fmt;

use super::lines::{Line, Value, access, lines, notify};
use super::{ClusterConfig, Config};

/// One setting that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `prod-web.scale_in.drain_deadline`, or a setting at the top of the file.
    pub path: String,
    /// `None`: it was not there.
    pub was: Option<Value>,
    /// `None`: it is no longer there.
    pub now: Option<Value>,
    /// It takes effect only when the process starts.
    pub needs_restart: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, was, now, needs_restart } = self;
        let shown = |value: &Option<Value>| {
            value.as_ref().map_or_else(|| "unset".to_owned(), ToString::to_string)
        };
        write!(f, "{path}: {} -> {}", shown(was), shown(now))?;
        if *needs_restart { f.write_str(", needs a restart") } else { Ok(()) }
    }
}

/// What connects a cluster to AWS, which is done once.
const AT_START: [&str; 5] = ["name", "region", "role_arn", "external_id", "queue"];

/// Every setting that differs, those of the top first.
pub fn differences(before: &Config, now: &Config) -> Vec<Difference> {
    let mut all = compare("", top(before), top(now), |_| true);
    let names = before.clusters.iter().chain(&now.clusters).map(|cluster| &cluster.name);
    let names: std::collections::BTreeSet<_> = names.collect();
    for name in names {
        let (was, is) = (before.cluster(name), now.cluster(name));
        let stays = was.is_some() && is.is_some();
        let prefix = format!("{name}.");
        let at_start = |path: &str| !stays || AT_START.contains(&path);
        all.extend(compare(&prefix, settings(was), settings(is), at_start));
    }
    all
}

/// What of `now` can be taken up at once; the rest stays as it is.
#[must_use]
pub fn without_restart(before: &ClusterConfig, now: &ClusterConfig) -> ClusterConfig {
    let before = before.clone();
    ClusterConfig {
        name: before.name,
        region: before.region,
        role_arn: before.role_arn,
        external_id: before.external_id,
        queue: before.queue,
        ..now.clone()
    }
}

type Settings = BTreeMap<String, Value>;

fn of_lines(lines: impl IntoIterator<Item = Line>) -> Settings {
    let given = |line: Line| Some((line.path, line.value.filter(|value| *value != Value::Unset)?));
    lines.into_iter().filter_map(given).collect()
}

fn top(config: &Config) -> Settings {
    let access = config.alb_oidc.as_ref().map(access).unwrap_or_default();
    let mut all = of_lines(access.into_iter().chain(notify(&config.notify)));
    let journal = config.journal.lines().into_iter();
    let given = |value: Option<Value>| value.filter(|value| *value != Value::Unset);
    all.extend(journal.filter_map(|(_, path, value)| Some((path.to_owned(), given(value)?))));
    all
}

fn settings(cluster: Option<&ClusterConfig>) -> Settings {
    of_lines(cluster.map(lines).unwrap_or_default())
}

fn compare(
    prefix: &str,
    mut before: Settings,
    now: Settings,
    needs_restart: impl Fn(&str) -> bool,
) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut differ = |path: String, was: Option<Value>, now: Option<Value>| {
        let needs_restart = needs_restart(&path);
        all.push(Difference { path: format!("{prefix}{path}"), was, now, needs_restart });
    };
    for (path, now) in now {
        match before.remove(&path) {
            Some(was) if was == now => {}
            was => differ(path, was, Some(now)),
        }
    }
    for (path, was) in before {
        differ(path, Some(was), None);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    fn read(text: &str) -> Config {
        load(text, "t.yaml").unwrap()
    }

    const BEFORE: &str = "
version: 1
clusters:
  - { name: web, mode: act, pools: [{ auto_scaling_group: a }, { auto_scaling_group: b }] }
  - { name: old, pools: [{ auto_scaling_group: c }] }
";

    #[test]
    fn each_difference_is_named_and_what_needs_a_restart_too() {
        let now = "
version: 1
journal: { dynamodb: { table: tidegate } }
clusters:
  - name: web
    region: eu-west-1
    mode: observe
    pools: [{ auto_scaling_group: a, max: 4 }]
    scale_in: { drain_deadline: 20m }
";
        let told = differences(&read(BEFORE), &read(now));
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        let told: Vec<_> = told.iter().filter(|line| !line.starts_with("old.")).collect();
        assert_eq!(
            told,
            [
                "journal.dynamodb.lease: unset -> 15s, needs a restart",
                "journal.dynamodb.table: unset -> tidegate, needs a restart",
                "journal: sqlite -> unset, needs a restart",
                "web.mode: act -> observe",
                "web.pools[0].max: unset -> 4",
                "web.region: unset -> eu-west-1, needs a restart",
                "web.scale_in.drain_deadline: 15m -> 20m",
                "web.pools[1].auto_scaling_group: b -> unset",
                "web.pools[1].price_percent: 100 -> unset",
                "web.pools[1].retiring: false -> unset",
            ]
        );
        let gone = differences(&read(BEFORE), &read(now));
        let mut gone = gone.iter().filter(|one| one.path.starts_with("old."));
        assert!(gone.all(|one| one.needs_restart), "a cluster comes and goes with the process");
    }

    #[test]
    fn what_is_the_same_differs_in_nothing_wherever_it_is_written() {
        let moved = BEFORE.replace("version: 1\n", "# the same\nversion: 1\nnotify: []\n");
        assert_eq!(differences(&read(BEFORE), &read(&moved)), []);
    }

    #[test]
    fn what_connects_to_aws_stays_until_a_restart() {
        let before = read(BEFORE).clusters.remove(0);
        let now = ClusterConfig {
            region: Some("eu-west-1".into()),
            interval: chrono::TimeDelta::seconds(30),
            ..before.clone()
        };
        let taken = without_restart(&before, &now);
        assert_eq!((taken.region, taken.interval), (None, chrono::TimeDelta::seconds(30)));
    }
}
