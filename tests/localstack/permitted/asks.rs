//! What AWS asks of IAM for a request: actions, the resources they are on, and what it knows.
//!
//! Resource types and keys are those of the AWS Service Authorization Reference.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::aws::{REGION, World};
use crate::iam::Asked;
use crate::proxy::Call;

type Context = BTreeMap<String, BTreeSet<String>>;

/// The parameters of a request, in whatever form it came.
struct Sent {
    json: Value,
    form: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Sent {
    fn of(body: &[u8]) -> Self {
        let form = std::str::from_utf8(body).unwrap_or_default();
        let form = reqwest::Url::parse(&format!("http://form/?{form}"));
        let form = form.map(|url| url.query_pairs().into_owned().collect());
        Self {
            json: serde_json::from_slice(body).unwrap_or_default(),
            form: form.unwrap_or_default(),
            body: body.to_vec(),
        }
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.json[name].as_str().or_else(|| self.form.get(name).map(String::as_str))
    }

    fn need(&self, name: &str) -> Result<&str, String> {
        self.one(name).ok_or_else(|| format!("no parameter {name}"))
    }

    /// The values of a list: `clusters` of JSON, `InstanceId.1` of a form.
    fn all(&self, name: &str) -> Vec<&str> {
        let of_json = self.json[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        let of_form = self.form.iter().filter(|(key, _)| key.starts_with(&format!("{name}.")));
        of_json.chain(of_form.map(|(_, value)| value.as_str())).collect()
    }

    /// The tags in a form: `Tags.member.1.Key` with `Tags.member.1.Value`.
    fn tags(&self) -> Vec<(&str, &str)> {
        let keys = self.form.iter().filter_map(|(name, key)| {
            let value = format!("{}.Value", name.strip_prefix("Tags.")?.strip_suffix(".Key")?);
            Some((key.as_str(), self.form.get(&format!("Tags.{value}"))?.as_str()))
        });
        keys.collect()
    }
}

/// Makes what is asked, of one account.
struct Asker<'a> {
    world: &'a World,
    sent: &'a Sent,
}

pub(super) async fn of(
    call: &Call,
    path: &str,
    body: &[u8],
    world: &World,
) -> Result<Vec<Asked>, String> {
    let sent = Sent::of(body);
    let asker = Asker { world, sent: &sent };
    match call.service.as_str() {
        "ecs" => asker.ecs(call),
        "autoscaling" => asker.autoscaling(call).await,
        "ec2" => asker.ec2(call).await,
        "elasticloadbalancing" => asker.elb(call).await,
        "application-autoscaling" => Ok(asker.targets(call)),
        "cloudwatch" => Ok(asker.cloudwatch(call)),
        "ecr" => asker.ecr(call),
        "dynamodb" => asker.dynamodb(call),
        "s3" => Ok(vec![object(call, path)]),
        "sns" => asker.sns(call),
        "sqs" => asker.sqs(call),
        "ssm" => asker.ssm(call),
        // Whoever has credentials may ask who they are.
        "sts" if call.operation == "GetCallerIdentity" => Ok(Vec::new()),
        _ => Err("a service that is not known".to_owned()),
    }
}

fn ask(action: &str, resource: String, context: Context) -> Asked {
    Asked { action: action.to_owned(), resource, context }
}

/// Named in the path: bucket and key.
fn object(call: &Call, path: &str) -> Asked {
    let name = path.trim_start_matches('/').replace("%20", " ");
    ask(&call.to_string(), format!("arn:aws:s3:::{name}"), Context::new())
}

fn is_read(call: &Call) -> bool {
    call.operation.starts_with("Describe")
}

fn key(name: &str, value: &str) -> (String, BTreeSet<String>) {
    (name.to_owned(), BTreeSet::from([value.to_owned()]))
}

/// `aws:ResourceTag/…` or `aws:RequestTag/…`.
fn tags<'a>(of: &str, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Context {
    tags.into_iter().map(|(name, value)| key(&format!("aws:{of}/{name}"), value)).collect()
}

impl Asker<'_> {
    fn arn(&self, service: &str, resource: &str) -> String {
        self.world.arn(service, resource)
    }

    fn everything(call: &Call) -> Vec<Asked> {
        vec![ask(&call.to_string(), "*".to_owned(), Context::new())]
    }

    fn cluster(&self) -> &str {
        let given = self.sent.one("cluster").unwrap_or("default");
        given.rsplit('/').next().unwrap_or(given)
    }

    /// What is named by its ARN, or by a name under a prefix.
    fn named(&self, prefix: &str, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        self.arn("ecs", &format!("{prefix}/{name}"))
    }

    fn ecs(&self, call: &Call) -> Result<Vec<Asked>, String> {
        let (sent, cluster) = (self.sent, self.cluster());
        let inside = || {
            let arn = self.arn("ecs", &format!("cluster/{cluster}"));
            Context::from([key("ecs:cluster", &arn)])
        };
        let action = call.to_string();
        let each = |kind: &str, names: Vec<&str>| {
            let prefix = format!("{kind}/{cluster}");
            let of = |name| ask(&action, self.named(&prefix, name), inside());
            names.into_iter().map(of).collect()
        };
        let bare = |kind: &str, names: Vec<&str>| {
            let of = |name| ask(&action, self.named(kind, name), Context::new());
            names.into_iter().map(of).collect()
        };
        Ok(match call.operation.as_str() {
            "DescribeTaskDefinition" => Self::everything(call),
            "ListServices" => vec![ask(&action, "*".to_owned(), inside())],
            "DescribeClusters" => bare("cluster", sent.all("clusters")),
            "ListContainerInstances" => bare("cluster", vec![cluster]),
            "DescribeCapacityProviders" => bare("capacity-provider", sent.all("capacityProviders")),
            "DescribeContainerInstances" | "UpdateContainerInstancesState" => {
                each("container-instance", sent.all("containerInstances"))
            }
            "DescribeServices" => each("service", sent.all("services")),
            "DescribeTasks" | "GetTaskProtection" => each("task", sent.all("tasks")),
            "ListTasks" => {
                let host = sent.one("containerInstance").unwrap_or("*");
                each("container-instance", vec![host])
            }
            "UpdateService" => each("service", vec![sent.need("service")?]),
            "CreateService" => each("service", vec![sent.need("serviceName")?]),
            "PutAttributes" | "DeleteAttributes" => {
                let all = sent.json["attributes"].as_array().into_iter().flatten();
                each("container-instance", all.filter_map(|a| a["targetId"].as_str()).collect())
            }
            "RegisterTaskDefinition" => self.registration(sent.need("family")?),
            _ => return Err("an operation that is not known".to_owned()),
        })
    }

    /// Tags and roles of a new revision are asked for by themselves.
    fn registration(&self, family: &str) -> Vec<Asked> {
        let arn = self.arn("ecs", &format!("task-definition/{family}:*"));
        let mut all = vec![ask("ecs:RegisterTaskDefinition", arn.clone(), Context::new())];
        if self.sent.json["tags"].is_array() {
            let context = [key("ecs:CreateAction", "RegisterTaskDefinition")];
            all.push(ask("ecs:TagResource", arn, context.into()));
        }
        for role in ["taskRoleArn", "executionRoleArn"].iter().filter_map(|n| self.sent.one(n)) {
            let context = [key("iam:PassedToService", "ecs-tasks.amazonaws.com")];
            all.push(ask("iam:PassRole", role.to_owned(), context.into()));
        }
        all
    }

    async fn autoscaling(&self, call: &Call) -> Result<Vec<Asked>, String> {
        if is_read(call) {
            return Ok(Self::everything(call));
        }
        let group = match self.sent.one("AutoScalingGroupName") {
            Some(name) => name.to_owned(),
            None => {
                let found = self.world.autoscaling.describe_auto_scaling_instances();
                let found = found.instance_ids(self.sent.need("InstanceId")?).send().await;
                let found = found.map_err(|error| format!("{error:?}"))?.auto_scaling_instances;
                let found = found.unwrap_or_default().pop().ok_or("an instance of no group")?;
                found.auto_scaling_group_name.unwrap_or_default()
            }
        };
        let found = self.world.autoscaling.describe_auto_scaling_groups();
        let found = found.auto_scaling_group_names(&group).send().await;
        let found = found.map_err(|error| format!("{error:?}"))?.auto_scaling_groups;
        let found = found.unwrap_or_default().pop().ok_or("no such group")?;
        let pairs = found.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
        let mut context = tags("ResourceTag", pairs);
        for (parameter, name) in [
            ("MinSize", "MinSize"),
            ("MaxSize", "MaxSize"),
            ("LaunchConfigurationName", "LaunchConfigurationName"),
            ("LaunchTemplate", "LaunchTemplateVersionSpecified"),
            ("MixedInstancesPolicy", "InstanceTypes"),
            ("VPCZoneIdentifier", "VPCZoneIdentifiers"),
        ] {
            if self.sent.form.keys().any(|key| key.starts_with(parameter)) {
                context.extend([key(&format!("autoscaling:{name}"), "given")]);
            }
        }
        let arn = found.auto_scaling_group_arn.unwrap_or_default();
        Ok(vec![ask(&call.to_string(), arn, context)])
    }

    async fn ec2(&self, call: &Call) -> Result<Vec<Asked>, String> {
        let action = call.to_string();
        Ok(match call.operation.as_str() {
            "DescribeSpotFleetInstances" | "ModifySpotFleetRequest" => {
                let id = self.sent.need("SpotFleetRequestId")?;
                let arn = self.arn("ec2", &format!("spot-fleet-request/{id}"));
                vec![ask(&action, arn, Context::new())]
            }
            "TerminateInstances" => {
                let ids = self.sent.all("InstanceId");
                let found = self.world.ec2.describe_instances();
                let ids = ids.into_iter().map(str::to_owned).collect();
                let found = found.set_instance_ids(Some(ids)).send().await;
                let found = found.map_err(|error| format!("{error:?}"))?;
                let all = found.reservations().iter().flat_map(|all| all.instances());
                let of = |instance: &aws_sdk_ec2::types::Instance| {
                    let id = instance.instance_id().unwrap_or_default();
                    let pairs = instance.tags().iter();
                    let pairs = pairs.filter_map(|tag| Some((tag.key()?, tag.value()?)));
                    let arn = self.arn("ec2", &format!("instance/{id}"));
                    ask(&action, arn, tags("ResourceTag", pairs))
                };
                all.map(of).collect()
            }
            _ if is_read(call) => Self::everything(call),
            _ => return Err("an operation that is not known".to_owned()),
        })
    }

    async fn elb(&self, call: &Call) -> Result<Vec<Asked>, String> {
        let (action, sent) = (call.to_string(), self.sent);
        Ok(match call.operation.as_str() {
            _ if is_read(call) => Self::everything(call),
            "CreateRule" => {
                let listener = sent.need("ListenerArn")?.to_owned();
                let rule = listener.replace(":listener/", ":listener-rule/") + "/new";
                let mut context = self.labels();
                context.extend(self.tags_of(&listener).await?);
                self.made(call, ask(&action, listener, context), rule)
            }
            "CreateTargetGroup" => {
                let name = sent.need("Name")?;
                let arn = self.arn("elasticloadbalancing", &format!("targetgroup/{name}/new"));
                self.made(call, ask(&action, arn.clone(), self.labels()), arn)
            }
            "ModifyRule" | "DeleteRule" => {
                let arn = sent.need("RuleArn")?;
                vec![ask(&action, arn.to_owned(), self.tags_of(arn).await?)]
            }
            // AWS gives no tags with this one.
            "SetRulePriorities" => {
                let rules = sent.form.iter().filter(|(name, _)| name.ends_with(".RuleArn"));
                rules.map(|(_, arn)| ask(&action, arn.clone(), Context::new())).collect()
            }
            "ModifyTargetGroup" | "ModifyTargetGroupAttributes" | "DeleteTargetGroup" => {
                let arn = sent.need("TargetGroupArn")?;
                vec![ask(&action, arn.to_owned(), self.tags_of(arn).await?)]
            }
            _ => return Err("an operation that is not known".to_owned()),
        })
    }

    /// The tags that a request gives.
    fn labels(&self) -> Context {
        let given = self.sent.tags();
        let mut context = tags("RequestTag", given.iter().copied());
        if !given.is_empty() {
            let keys = given.iter().map(|(name, _)| (*name).to_owned()).collect();
            context.insert("aws:TagKeys".to_owned(), keys);
        }
        context
    }

    /// Tags of what is made are asked for by themselves.
    fn made(&self, call: &Call, making: Asked, made: String) -> Vec<Asked> {
        let mut context = self.labels();
        if context.is_empty() {
            return vec![making];
        }
        context.extend([key("elasticloadbalancing:CreateAction", &call.operation)]);
        vec![making, ask("elasticloadbalancing:AddTags", made, context)]
    }

    async fn tags_of(&self, arn: &str) -> Result<Context, String> {
        let found = self.world.elbv2.describe_tags().resource_arns(arn).send().await;
        let Ok(found) = found else { return Ok(Context::new()) };
        let all = found.tag_descriptions().iter().flat_map(|found| found.tags());
        let pairs = all.filter_map(|tag| Some((tag.key()?, tag.value()?)));
        Ok(tags("ResourceTag", pairs))
    }

    fn targets(&self, call: &Call) -> Vec<Asked> {
        if is_read(call) {
            return Self::everything(call);
        }
        let arn = self.arn("application-autoscaling", "scalable-target/id");
        let of = |name: &str, parameter: &str| {
            let name = format!("application-autoscaling:{name}");
            Some(key(&name, self.sent.one(parameter)?))
        };
        let context = [
            of("service-namespace", "ServiceNamespace"),
            of("scalable-dimension", "ScalableDimension"),
        ];
        vec![ask(&call.to_string(), arn, context.into_iter().flatten().collect())]
    }

    fn cloudwatch(&self, call: &Call) -> Vec<Asked> {
        if call.operation != "DescribeAlarms" {
            return Self::everything(call);
        }
        let of = |name: String| {
            let arn = self.arn("cloudwatch", &format!("alarm:{name}"));
            ask(&call.to_string(), arn, Context::new())
        };
        cbor_strings(&self.sent.body, "AlarmNames").into_iter().map(of).collect()
    }

    fn ecr(&self, call: &Call) -> Result<Vec<Asked>, String> {
        let account = self.sent.one("registryId").unwrap_or(&self.world.account);
        let name = self.sent.need("repositoryName")?;
        let arn = format!("arn:aws:ecr:{REGION}:{account}:repository/{name}");
        Ok(vec![ask(&call.to_string(), arn, Context::new())])
    }

    /// A batch is permitted as what it is a batch of.
    fn sqs(&self, call: &Call) -> Result<Vec<Asked>, String> {
        let name = self.sent.need("QueueUrl")?.rsplit('/').next().unwrap_or_default();
        let action = call.to_string();
        let action = action.strip_suffix("Batch").unwrap_or(&action);
        Ok(vec![ask(action, self.arn("sqs", name), Context::new())])
    }

    fn sns(&self, call: &Call) -> Result<Vec<Asked>, String> {
        let topic = self.sent.need("TopicArn")?;
        Ok(vec![ask(&call.to_string(), topic.to_owned(), Context::new())])
    }

    /// The slash that begins a name is not doubled.
    fn ssm(&self, call: &Call) -> Result<Vec<Asked>, String> {
        let name = self.sent.need("Name")?.trim_start_matches('/');
        let arn = self.arn("ssm", &format!("parameter/{name}"));
        Ok(vec![ask(&call.to_string(), arn, Context::new())])
    }

    /// A transaction is permitted part by part.
    fn dynamodb(&self, call: &Call) -> Result<Vec<Asked>, String> {
        let table = |of: &Value| match of["TableName"].as_str() {
            Some(name) => Ok(self.arn("dynamodb", &format!("table/{name}"))),
            None => Err(format!("no table in {of}")),
        };
        if call.operation != "TransactWriteItems" {
            let arn = table(&self.sent.json)?;
            return Ok(vec![ask(&call.to_string(), arn, Context::new())]);
        }
        let parts = self.sent.json["TransactItems"].as_array().into_iter().flatten();
        let parts = parts.filter_map(Value::as_object).flatten().map(|(kind, part)| {
            let action = match kind.as_str() {
                "ConditionCheck" => "dynamodb:ConditionCheckItem",
                "Delete" => "dynamodb:DeleteItem",
                "Put" => "dynamodb:PutItem",
                _ => return Err(format!("a part that is not known: {kind}")),
            };
            Ok(ask(action, table(part)?, Context::new()))
        });
        parts.collect()
    }
}

/// The short strings of a list of this name in a body of CBOR (RFC 8949), which CloudWatch speaks.
fn cbor_strings(body: &[u8], name: &str) -> Vec<String> {
    let at = body.windows(name.len()).position(|window| window == name.as_bytes());
    let mut rest = at.map_or(&body[..0], |at| &body[at + name.len()..]);
    let Some((head @ (0x80..=0x97 | 0x9f), after)) = rest.split_first() else { return Vec::new() };
    // The last of these has no length; it ends where no string follows.
    let length = if *head == 0x9f { usize::MAX } else { usize::from(head - 0x80) };
    rest = after;
    let mut found = Vec::new();
    while found.len() < length {
        let (length, start) = match rest {
            [head @ 0x60..=0x77, ..] => (usize::from(head - 0x60), 1),
            [0x78, length, ..] => (usize::from(*length), 2),
            _ => return found,
        };
        let Some(text) = rest.get(start..start + length) else { return found };
        found.push(String::from_utf8_lossy(text).into_owned());
        rest = &rest[start + length..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_alarms_are_read_from_cbor() {
        let body = b"\xbf\x6aAlarmNames\x82\x61a\x62bc\x6aAlarmTypes\x80\xff";
        assert_eq!(cbor_strings(body, "AlarmNames"), ["a", "bc"]);
        assert_eq!(cbor_strings(b"\x6aAlarmNames\x9f\x61a\xff", "AlarmNames"), ["a"]);
        assert!(cbor_strings(b"\xbf\xff", "AlarmNames").is_empty());
    }

    #[test]
    fn tags_of_a_form_are_read_in_pairs() {
        let sent = Sent::of(b"Action=X&Tags.member.1.Key=a%3Ab&Tags.member.1.Value=c%20d");
        assert_eq!(sent.tags(), [("a:b", "c d")]);
        assert_eq!(sent.one("Action"), Some("X"));
    }
}
