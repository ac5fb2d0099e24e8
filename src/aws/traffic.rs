//! One look at what load balancers do: listeners, then everything their rules name, all at once.
//!
//! Rule: a listener is seen with all its rules or not at all. One that cannot be read now keeps its
//! last look, with its age and a gap, so that the way back stays known.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use super::Aws;
use super::clients::Reads;
use super::join::unique;
use super::kept::Kept;
use super::rows::*;
use crate::control::Clock;
use crate::model::*;

/// How long tags and attributes are taken for true; of what is ours, attributes are read each time.
const FACTS_AGE: TimeDelta = TimeDelta::minutes(3);

/// What is remembered of load balancers between observations.
#[derive(Debug, Default)]
pub(super) struct KeptTraffic {
    listeners: BTreeMap<ListenerArn, (Listener, DateTime<Utc>)>,
    groups: BTreeMap<TargetGroupArn, TargetGroupRow>,
    owners: BTreeMap<String, (Owner, DateTime<Utc>)>,
    attributes: BTreeMap<TargetGroupArn, (GroupAttributes, DateTime<Utc>)>,
    /// Names never change.
    addresses: BTreeMap<LoadBalancerArn, String>,
}

impl<K: Clock> Aws<K> {
    /// One listener with everything its rules name, for `tidegate listener check`.
    ///
    /// # Errors
    /// Whatever could not be read: an analysis of half a listener would mislead.
    pub async fn traffic_of_listener(&self, listener: &ListenerArn) -> Result<Traffic, Vec<Gap>> {
        let need =
            TrafficNeed { listeners: BTreeSet::from([listener.clone()]), ..TrafficNeed::default() };
        let mut kept = KeptTraffic::default();
        let look = Look { reads: &self.reads, cluster: &self.cluster, at: self.clock.now() };
        let seen = kept.look(look, &need, BTreeSet::new()).await;
        if seen.gaps.is_empty() { Ok(seen.value) } else { Err(seen.gaps) }
    }
}

impl Kept {
    /// Listeners, rules and groups that this tick needs, with the groups of all services.
    pub(super) async fn look_at_traffic(
        &mut self,
        reads: &Reads,
        need: &Need,
        at: DateTime<Utc>,
    ) -> Part<Traffic> {
        let Some(wanted) = &need.traffic else {
            self.traffic = KeptTraffic::default();
            return Part::complete(Traffic::default(), at);
        };
        let services = self.services.value.values();
        let targets = services.flat_map(|row| &row.service.targets);
        let of_services = targets.map(|target| target.group.clone()).collect();
        let look = Look { reads, cluster: &need.cluster, at };
        self.traffic.look(look, wanted, of_services).await
    }
}

/// One look: whom to ask, for which cluster, and when.
#[derive(Clone, Copy)]
struct Look<'a> {
    reads: &'a Reads,
    cluster: &'a ClusterName,
    at: DateTime<Utc>,
}

/// Groups known by ARN.
struct Wanted {
    /// By the listeners' rules and defaults.
    named: BTreeSet<TargetGroupArn>,
    of_services: BTreeSet<TargetGroupArn>,
}

impl KeptTraffic {
    async fn look(
        &mut self,
        look: Look<'_>,
        need: &TrafficNeed,
        of_services: BTreeSet<TargetGroupArn>,
    ) -> Part<Traffic> {
        let mut gaps = self.look_at_listeners(look, need).await;
        let named = self.listeners.values().flat_map(|(listener, _)| named_by(listener));
        let wanted = Wanted { named: named.collect(), of_services };
        let addresses = self.look_at_addresses(look, need).await;
        let (groups, readings) = futures::join!(
            self.look_at_groups(look, need, wanted),
            super::asks::ask(look.reads, &need.asks, &addresses, look.at),
        );
        gaps.extend(groups.gaps);
        self.own_rules();
        let read_at = self.listeners.values().map(|(_, read_at)| *read_at);
        let as_of = read_at.min().unwrap_or(look.at);
        let listeners = self.listeners.iter();
        let listeners = listeners.map(|(arn, (seen, _))| (arn.clone(), seen.clone())).collect();
        Part {
            value: Traffic { listeners, groups: groups.value, readings },
            as_of,
            gaps: unique(gaps),
        }
    }

    async fn look_at_listeners(&mut self, look: Look<'_>, need: &TrafficNeed) -> Vec<Gap> {
        let wanted: BTreeSet<_> = need.listeners.union(&need.left).collect();
        self.listeners.retain(|arn, _| wanted.contains(arn));
        let answers = join_all(wanted.iter().map(|arn| read_listener(look.reads, arn))).await;
        let mut gaps = Vec::new();
        for (arn, answer) in wanted.into_iter().zip(answers) {
            match answer {
                Ok(seen) => drop(self.listeners.insert(arn.clone(), (seen, look.at))),
                Err(gap) => {
                    let gone = matches!(gap.failure, Failure::NotFound { .. });
                    if gone {
                        self.listeners.remove(arn);
                    }
                    if !gone || need.listeners.contains(arn) {
                        gaps.push(gap);
                    }
                }
            }
        }
        gaps
    }

    /// Where each listener is reached, if somebody asks a path of it.
    async fn look_at_addresses(
        &mut self,
        look: Look<'_>,
        need: &TrafficNeed,
    ) -> BTreeMap<ListenerArn, String> {
        let asked = need.asks.iter().filter_map(|ask| match &ask.of {
            Asked::Probe { listener, url, .. } if url.starts_with('/') => Some(listener),
            _ => None,
        });
        let asked: Vec<&Listener> =
            asked.filter_map(|arn| Some(&self.listeners.get(arn)?.0)).collect();
        let balancers = asked.iter().map(|listener| listener.load_balancer.clone());
        let unknown: BTreeSet<_> =
            balancers.filter(|arn| !self.addresses.contains_key(arn)).collect();
        // Without an address the probe says that it could not be asked.
        let found = look.reads.balancers(&unknown).await.unwrap_or_default();
        self.addresses.extend(found.into_iter().map(|(arn, row)| (arn, row.dns_name)));
        let address = |listener: &&Listener| {
            let name = self.addresses.get(&listener.load_balancer)?;
            let scheme = listener.protocol.to_ascii_lowercase();
            Some((listener.arn.clone(), format!("{scheme}://{name}:{}", listener.port)))
        };
        asked.iter().filter_map(address).collect()
    }

    /// The groups wanted by ARN and by name, joined with all that other calls tell of them.
    async fn look_at_groups(
        &mut self,
        look: Look<'_>,
        need: &TrafficNeed,
        wanted: Wanted,
    ) -> Part<BTreeMap<TargetGroupArn, TargetGroup>> {
        let all = wanted.named.union(&wanted.of_services).cloned().collect();
        let mut gaps = self.find_groups(look, need, &all).await;
        let unknown = self.unknown_owners(look.at);
        // CloudWatch is paid for by the metric: only what a listener leads to, or is about to.
        let steered = self
            .groups
            .values()
            .filter(|row| wanted.named.contains(&row.arn) || need.groups.contains(&row.name));
        let (owners, attributes, health, load) = futures::join!(
            look.reads.owners(&unknown, look.cluster),
            join_all(self.unknown_attributes(look.at).into_iter().map(async |arn| {
                let answer = look.reads.attributes(&arn).await;
                (arn, answer)
            })),
            join_all(self.groups.keys().map(|arn| look.reads.health(arn))),
            look.reads.load(steered, need, look.at),
        );
        let owners_read = owners.found.into_iter().map(|(arn, owner)| (arn, (owner, look.at)));
        self.owners.extend(owners_read);
        gaps.extend(owners.lacking.into_values());
        for (arn, answer) in attributes {
            match answer {
                Ok(found) => drop(self.attributes.insert(arn, (found, look.at))),
                Err(gap) => gaps.push(gap),
            }
        }
        let load = load.unwrap_or_else(|gap| {
            gaps.push(gap);
            BTreeMap::new()
        });
        let mut found = BTreeMap::new();
        for (row, health) in self.groups.values().zip(health) {
            let health = health.map_err(|gap| gaps.push(gap)).ok();
            let load = load.get(&row.arn).cloned().unwrap_or_default();
            found.insert(row.arn.clone(), self.group(row, health, load));
        }
        self.forget();
        Part { value: found, as_of: look.at, gaps }
    }

    /// Describes the groups. One that could not be described keeps its last description.
    async fn find_groups(
        &mut self,
        look: Look<'_>,
        need: &TrafficNeed,
        wanted: &BTreeSet<TargetGroupArn>,
    ) -> Vec<Gap> {
        let told: BTreeSet<&str> = wanted.iter().map(TargetGroupArn::short).collect();
        let names: Vec<&String> =
            need.groups.iter().filter(|name| !told.contains(name.as_str())).collect();
        let (by_arn, by_name) = futures::join!(
            look.reads.target_groups(wanted),
            join_all(names.iter().map(|name| look.reads.group_named(name))),
        );
        let mut gaps: Vec<Gap> = by_arn.lacking.values().cloned().collect();
        let mut unread: BTreeSet<TargetGroupArn> = by_arn.lacking.into_keys().collect();
        let mut found = by_arn.found;
        for (name, answer) in names.into_iter().zip(by_name) {
            match answer {
                Ok(Some(row)) => drop(found.insert(row.arn.clone(), row)),
                Ok(None) => {}
                Err(gap) => {
                    let known = self.groups.values().filter(|row| row.name == *name);
                    unread.extend(known.map(|row| row.arn.clone()));
                    gaps.push(gap);
                }
            }
        }
        self.groups.retain(|arn, _| unread.contains(arn));
        self.groups.extend(found);
        gaps
    }

    /// Rules and groups whose tags are not known or were read long ago.
    fn unknown_owners(&self, at: DateTime<Utc>) -> Vec<String> {
        let rules = self.listeners.values().flat_map(|(listener, _)| &listener.rules);
        let rules = rules.map(|rule| rule.arn.to_string());
        let all = rules.chain(self.groups.keys().map(TargetGroupArn::to_string));
        let old = |arn: &String| {
            self.owners.get(arn).is_none_or(|(_, read_at)| at - *read_at >= FACTS_AGE)
        };
        all.filter(old).collect()
    }

    /// The attributes of this group are read anew.
    pub(super) fn outdate(&mut self, group: &TargetGroupArn) {
        // What was known stays until it is: an unread group would be shown with defaults.
        if let Some((_, read_at)) = self.attributes.get_mut(group) {
            *read_at = DateTime::UNIX_EPOCH;
        }
    }

    fn unknown_attributes(&self, at: DateTime<Utc>) -> Vec<TargetGroupArn> {
        let old = |arn: &&TargetGroupArn| {
            let ours = self.owner(arn.as_str()) != Owner::Other;
            let known = self.attributes.get(*arn);
            ours || known.is_none_or(|(_, read_at)| at - *read_at >= FACTS_AGE)
        };
        self.groups.keys().filter(old).cloned().collect()
    }

    /// Whose it is; what is not known is not ours.
    fn owner(&self, arn: &str) -> Owner {
        self.owners.get(arn).map_or(Owner::Other, |(owner, _)| owner.clone())
    }

    fn group(&self, row: &TargetGroupRow, health: Option<Health>, load: Vec<Load>) -> TargetGroup {
        let attributes = self.attributes.get(&row.arn).map(|(attributes, _)| *attributes);
        let attributes =
            attributes.unwrap_or_else(|| GroupAttributes::of(&GroupSettings::default()));
        TargetGroup {
            arn: row.arn.clone(),
            name: row.name.clone(),
            owner: self.owner(row.arn.as_str()),
            settings: attributes.with(row.health_check.clone()),
            load_balancer: row.load_balancers.first().cloned(),
            health,
            load,
        }
    }

    /// Puts the owners into the rules, once their tags are known.
    fn own_rules(&mut self) {
        let owners = &self.owners;
        for (listener, _) in self.listeners.values_mut() {
            for rule in &mut listener.rules {
                let owner = owners.get(rule.arn.as_str());
                rule.owner = owner.map_or(Owner::Other, |(owner, _)| owner.clone());
            }
        }
    }

    fn forget(&mut self) {
        let rules = self.listeners.values().flat_map(|(listener, _)| &listener.rules);
        let rules = rules.map(|rule| rule.arn.as_str());
        let known: BTreeSet<&str> =
            rules.chain(self.groups.keys().map(TargetGroupArn::as_str)).collect();
        self.owners.retain(|arn, _| known.contains(arn.as_str()));
        self.attributes.retain(|arn, _| known.contains(arn.as_str()));
    }
}

async fn read_listener(reads: &Reads, arn: &ListenerArn) -> Result<Listener, Gap> {
    let (row, rules) = futures::try_join!(reads.listener(arn), reads.rules(arn))?;
    let rules = rules.into_iter().map(|rule| Rule {
        arn: rule.arn,
        priority: rule.priority,
        conditions: rule.conditions,
        image: rule.image,
        owner: Owner::Other,
    });
    Ok(Listener {
        arn: arn.clone(),
        load_balancer: row.load_balancer,
        protocol: row.protocol,
        port: row.port,
        default: row.default,
        rules: rules.collect(),
    })
}

/// Every group that a listener's default or rules name, at whatever weight.
fn named_by(listener: &Listener) -> impl Iterator<Item = TargetGroupArn> {
    let images = listener.rules.iter().map(|rule| &rule.image).chain([&listener.default]);
    let actions = images.flat_map(|image| &image.actions);
    let weights = actions.filter_map(|action| match action {
        RuleAction::Forward { weights, .. } => Some(weights),
        _ => None,
    });
    weights.flat_map(BTreeMap::keys).cloned()
}
