//! The place a policy is for: one cluster, what may be done there, and the ARNs it comes to.
//!
//! Rule: what the configuration names is meant by its ARN. Without a configuration it is meant by
//! the tag that its owner has put on it.

use std::collections::BTreeSet;

use super::table::{Named, On};
use crate::config::notify::Receiver;
use crate::config::{ClusterConfig, Config, GateSource, JournalConfig, RuleMode};
use crate::model::{ActionKind, Mode, PoolId};

/// What a document of its own exists for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum Part {
    /// Everything that is read.
    Observe,
    /// Tidegate's own: its journals and its queue of events.
    State,
    /// Raise the size of pools.
    ScaleOut,
    /// Drain and end hosts.
    RemoveHosts,
    /// Listener rules, target groups, and the services behind them.
    Traffic,
    /// New images of services.
    Release,
    /// Take pools over from managed scaling.
    Handover,
}

impl From<ActionKind> for Part {
    fn from(kind: ActionKind) -> Self {
        match kind {
            ActionKind::ScaleOut => Self::ScaleOut,
            ActionKind::Repair
            | ActionKind::Spot
            | ActionKind::ScaleIn
            | ActionKind::Replace
            | ActionKind::Consolidate => Self::RemoveHosts,
            ActionKind::Services => Self::Release,
            ActionKind::Cutover => Self::Traffic,
            // Of what is handed back most was permitted when it was taken.
            ActionKind::Handover | ActionKind::Handback => Self::Handover,
        }
    }
}

/// What a mode and the kinds allowed in it come to.
pub fn parts_of(mode: Mode, allow: &BTreeSet<ActionKind>) -> BTreeSet<Part> {
    let acts = allow.iter().filter(|_| mode == Mode::Act).map(|kind| Part::from(*kind));
    acts.chain([Part::Observe, Part::State]).collect()
}

/// One cluster of one account. What is not known stands as a placeholder, `${Region}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub partition: String,
    pub region: String,
    pub account: String,
    pub cluster: String,
    pub parts: BTreeSet<Part>,
    /// `None`: no configuration names anything.
    pub named: Option<Named>,
}

impl Place {
    /// Any cluster.
    pub fn anywhere(parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            partition: "${Partition}".to_owned(),
            region: "${Region}".to_owned(),
            account: "${Account}".to_owned(),
            cluster: "${Cluster}".to_owned(),
            parts: parts.into_iter().collect(),
            named: None,
        }
    }

    /// What a configuration names. Region and account come from it as far as it says them.
    pub fn of(config: &ClusterConfig) -> Self {
        let exposures = config.services.values().filter_map(|service| service.exposure.as_ref());
        let listeners = config.cutovers.iter().map(|cutover| &cutover.listener);
        let listeners = listeners.chain(exposures.clone().map(|exposure| &exposure.listener));
        let listeners: BTreeSet<String> = listeners.map(ToString::to_string).collect();
        let adopted = config.cutovers.iter().filter_map(|cutover| match &cutover.rules {
            RuleMode::Adopt(rule) => Some(rule.to_string()),
            RuleMode::Own => None,
        });
        let gates = config.cutovers.iter().flat_map(|cutover| &cutover.gates.others);
        let alarms = gates.filter_map(|gate| match &gate.source {
            GateSource::CloudwatchAlarm(alarm) => Some(alarm.clone()),
            GateSource::Prometheus { .. } | GateSource::Http(_) => None,
        });
        let declared = exposures.filter(|exposure| exposure.settings.is_some());
        let (mut groups, mut fleets) = (BTreeSet::new(), BTreeSet::new());
        for pool in &config.pools {
            match &pool.id {
                PoolId::AutoScalingGroup(name) => groups.insert(name.clone()),
                PoolId::SpotFleet(id) => fleets.insert(id.clone()),
            };
        }
        let known = listeners.iter().map(String::as_str).chain(config.role_arn.as_deref());
        let known: Vec<Vec<&str>> = known.map(|arn| arn.split(':').collect()).collect();
        let field = |at: usize| {
            let mut fields = known.iter().filter_map(|arn| arn.get(at));
            fields.find(|field| !field.is_empty()).map(|field| (*field).to_owned())
        };
        let unknown = Self::anywhere(parts_of(config.mode, &config.allow));
        Self {
            partition: field(1).unwrap_or(unknown.partition),
            region: config.region.clone().or(field(3)).unwrap_or(unknown.region),
            account: field(4).unwrap_or(unknown.account),
            cluster: config.name.to_string(),
            parts: unknown.parts,
            named: Some(Named {
                groups,
                fleets,
                adopted: adopted.collect(),
                alarms: alarms.collect(),
                queues: config.queue.iter().filter_map(|url| queue_name(url)).collect(),
                tables: BTreeSet::new(),
                switches: config.stop_parameter.iter().cloned().collect(),
                objects: BTreeSet::new(),
                topics: BTreeSet::new(),
                target_groups: declared.filter_map(|e| e.target_group.clone()).collect(),
                listeners,
            }),
        }
    }

    /// The same, where the process itself has the role of this place: it keeps the journal with it,
    /// and tells people.
    #[must_use]
    pub fn keeping(mut self, config: &Config) -> Self {
        let Some(named) = &mut self.named else { return self };
        if let JournalConfig::DynamoDb(table) = &config.journal {
            named.tables.insert((table.region.clone(), table.table.clone()));
        }
        named.topics.extend(config.notify.iter().filter_map(|target| match &target.to {
            Receiver::Sns { topic } => Some(topic.clone()),
            Receiver::Webhook { .. } | Receiver::Slack { .. } => None,
        }));
        self
    }

    /// The same, where the configuration is read from an object, `BUCKET/KEY`.
    #[must_use]
    pub fn read_from_object(mut self, object: impl Into<String>) -> Self {
        self.named.get_or_insert_default().objects.insert(object.into());
        self
    }

    /// The same, where the configuration is read from a parameter.
    #[must_use]
    pub fn read_from_parameter(mut self, name: impl Into<String>) -> Self {
        self.named.get_or_insert_default().switches.insert(name.into());
        self
    }

    pub(super) fn may(&self, parts: &[Part]) -> bool {
        parts.iter().any(|part| self.parts.contains(part))
    }

    pub(super) fn writes(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part, Part::Observe | Part::State))
    }

    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }

    /// The ARNs of what a permission is on; roles are not of a place.
    pub(super) fn arns(&self, on: On) -> Vec<String> {
        let one = |service: &str, resource: String| vec![self.arn(service, &resource)];
        let ecs = |kind: &str| one("ecs", format!("{kind}/{}/*", self.cluster));
        // By name where there is a configuration, else all, which a tag then narrows.
        let each = |names: fn(&Named) -> &BTreeSet<String>, arn: &dyn Fn(&str) -> String| {
            match &self.named {
                Some(named) => names(named).iter().map(|name| arn(name)).collect(),
                None => vec![arn("*")],
            }
        };
        match on {
            On::Anything => vec!["*".to_owned()],
            On::Cluster => one("ecs", format!("cluster/{}", self.cluster)),
            On::Services => ecs("service"),
            On::Tasks => ecs("task"),
            On::Hosts => ecs("container-instance"),
            On::CapacityProviders => one("ecs", "capacity-provider/*".to_owned()),
            On::TaskDefinitions => one("ecs", "task-definition/*:*".to_owned()),
            On::Groups => each(|named| &named.groups, &|name| {
                self.arn("autoscaling", &format!("autoScalingGroup:*:autoScalingGroupName/{name}"))
            }),
            On::Fleets => each(|named| &named.fleets, &|id| {
                self.arn("ec2", &format!("spot-fleet-request/{id}"))
            }),
            On::FleetHosts if self.arns(On::Fleets).is_empty() => Vec::new(),
            On::FleetHosts => one("ec2", "instance/*".to_owned()),
            On::Alarms => each(|named| &named.alarms, &|name| {
                self.arn("cloudwatch", &format!("alarm:{name}"))
            }),
            On::Queues => match &self.named {
                Some(named) => named.queues.iter().map(|name| self.arn("sqs", name)).collect(),
                None => one("sqs", "tidegate-*".to_owned()),
            },
            On::Tables => match &self.named {
                Some(named) => named.tables.iter().map(|table| self.table(table)).collect(),
                None => one("dynamodb", "table/tidegate*".to_owned()),
            },
            // The slash that begins a name is not doubled (Service Authorization Reference).
            On::Switches if self.named.is_none() => one("ssm", "parameter/tidegate/*".to_owned()),
            On::Switches => each(|named| &named.switches, &|name| {
                self.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
            }),
            On::Objects => {
                let object = |name: &str| format!("arn:{}:s3:::{name}", self.partition);
                match &self.named {
                    Some(named) => named.objects.iter().map(|name| object(name)).collect(),
                    None => vec![object("tidegate*/*")],
                }
            }
            On::Topics => match &self.named {
                Some(named) => named.topics.iter().cloned().collect(),
                None => one("sns", "tidegate*".to_owned()),
            },
            On::Repositories => vec![format!("arn:{}:ecr:*:*:repository/*", self.partition)],
            On::ScalableTargets => one("application-autoscaling", "scalable-target/*".to_owned()),
            On::Listeners => match &self.named {
                Some(named) => named.listeners.iter().cloned().collect(),
                None => one("elasticloadbalancing", "listener/app/*".to_owned()),
            },
            On::Rules => {
                let of = |arn: String| match arn.split_once(":listener/") {
                    Some((start, listener)) if self.named.is_some() => {
                        format!("{start}:listener-rule/{listener}/*")
                    }
                    _ => self.arn("elasticloadbalancing", "listener-rule/app/*"),
                };
                self.arns(On::Listeners).into_iter().map(of).collect()
            }
            On::AdoptedRules => {
                let named = self.named.iter();
                named.flat_map(|named| named.adopted.iter().cloned()).collect()
            }
            On::TargetGroups if self.arns(On::Listeners).is_empty() => Vec::new(),
            On::TargetGroups => one("elasticloadbalancing", "targetgroup/*".to_owned()),
            On::DeclaredTargetGroups => {
                let named = self.named.iter().flat_map(|named| &named.target_groups);
                let of = |name| format!("targetgroup/{name}/*");
                named.map(|name| self.arn("elasticloadbalancing", &of(name))).collect()
            }
            On::PassedRoles | On::AssumedRoles => Vec::new(),
        }
    }

    fn table(&self, (region, name): &(Option<String>, String)) -> String {
        let here = Self { region: region.clone().unwrap_or(self.region.clone()), ..self.clone() };
        here.arn("dynamodb", &format!("table/{name}"))
    }
}

/// `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`.
fn queue_name(url: &str) -> Option<String> {
    url.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
}
