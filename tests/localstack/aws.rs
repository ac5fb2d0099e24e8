//! One account of the local AWS, asked with the AWS SDK itself: what a story is built of and
//! judged by.
//!
//! Rule: nothing here knows Tidegate. What it did is read from AWS and from the endpoint's own
//! record of requests.

use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, Instance, LaunchTemplate as GroupTemplate, LaunchTemplateSpecification,
    MixedInstancesPolicy,
};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_sdk_ec2::types::{RequestLaunchTemplateData, ResourceType};
use aws_sdk_ecs::types::{
    Compatibility, ContainerDefinition, ContainerInstance, Resource, Service, Task,
};
use serde::Deserialize;
use serde_json::Value;

use crate::dataplane::wall_clock;
use crate::footing;
use crate::harness::{endpoint, eventually};

pub const REGION: &str = "us-east-1";

/// An account of its own, by its access key.
pub struct World {
    pub account: String,
    pub endpoint: String,
    pub ecs: aws_sdk_ecs::Client,
    pub autoscaling: aws_sdk_autoscaling::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub elbv2: aws_sdk_elasticloadbalancingv2::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub targets: aws_sdk_applicationautoscaling::Client,
    /// For clients of other services.
    pub sdk: aws_config::SdkConfig,
    http: reqwest::Client,
}

/// One line of the endpoint's record.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub number: u64,
    pub operation: String,
    /// When it arrived, in seconds since 1970.
    pub time: f64,
    /// What the client said of itself.
    pub agent: String,
    pub parameters: Value,
}

impl Request {
    /// Whether it may have changed something that has a size or gets traffic: neither what only
    /// looks, nor what takes messages or keeps records.
    pub fn writes(&self) -> bool {
        let others = [
            "Describe",
            "List",
            "Get",
            "Query",
            "Transact",
            "Receive",
            "DeleteMessage",
            "UpdateItem",
        ];
        !others.iter().any(|other| self.operation.starts_with(other))
    }
}

impl World {
    /// An account nobody has used, with a table and a queue for Tidegate.
    pub async fn new() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("randomness");
        let account = u64::from_le_bytes(random) % 900_000_000_000 + 100_000_000_000;
        let world = Self::of(&account.to_string()).await;
        footing::lay(&world).await;
        world
    }

    pub async fn of(account: &str) -> Self {
        use aws_config::{BehaviorVersion, Region};
        let credentials =
            aws_credential_types::Credentials::new(account, "test", None, None, "test");
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .endpoint_url(endpoint())
            .credentials_provider(credentials)
            .load()
            .await;
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self {
            account: account.to_owned(),
            endpoint: endpoint().to_owned(),
            ecs: aws_sdk_ecs::Client::new(&config),
            autoscaling: aws_sdk_autoscaling::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            targets: aws_sdk_applicationautoscaling::Client::new(&config),
            sdk: config,
            http,
        }
    }

    // ---- The endpoint's own controls and record

    /// `POST /_world/…`: what no API of AWS lets a client do.
    pub async fn control(&self, control: &str, arguments: &[(&str, &str)]) -> Value {
        let mut url = format!("{}/_world/{control}?account={}", self.endpoint, self.account);
        for (name, value) in arguments {
            write!(url, "&{name}={}", encoded(value)).expect("text");
        }
        let answer = self.http.post(&url).send().await.expect("the endpoint answers");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{control}: {body}");
        body
    }

    /// Every AWS request of the account after this number, oldest first.
    pub async fn requests(&self, after: u64) -> Vec<Request> {
        let (endpoint, account) = (&self.endpoint, &self.account);
        let url = format!("{endpoint}/_world/requests?account={account}&after={after}");
        let answer = self.http.get(&url).send().await.expect("the endpoint answers");
        answer.json().await.expect("a list of requests")
    }

    /// The number of the last request so far.
    pub async fn mark(&self) -> u64 {
        self.requests(0).await.last().map_or(0, |last| last.number)
    }

    /// Requests after this number that may have changed something.
    pub async fn writes(&self, after: u64) -> Vec<Request> {
        let mut requests = self.requests(after).await;
        requests.retain(Request::writes);
        requests
    }

    /// Requests of this operation after this number.
    pub async fn sent(&self, operation: &str, after: u64) -> Vec<Request> {
        let mut requests = self.requests(after).await;
        requests.retain(|request| request.operation == operation);
        requests
    }

    /// What CloudWatch shows of the last ten minutes of a load balancer, or of one group of it:
    /// start of the period in seconds since 1970, and value.
    pub async fn datapoints(
        &self,
        balancer: &str,
        group: Option<&str>,
        (name, stat): (&str, &str),
        period_seconds: i32,
    ) -> Vec<(i64, f64)> {
        let dimension =
            |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let balancer = balancer.split(":loadbalancer/").last().expect("its name");
        let mut metric = Metric::builder().namespace("AWS/ApplicationELB").metric_name(name);
        metric = metric.dimensions(dimension("LoadBalancer", balancer));
        if let Some(group) = group {
            let group = group.split(':').next_back().expect("its name");
            metric = metric.dimensions(dimension("TargetGroup", group));
        }
        let stat = MetricStat::builder().metric(metric.build()).period(period_seconds).stat(stat);
        let query = MetricDataQuery::builder().id("q").metric_stat(stat.build()).build();
        let end = wall_clock() + Duration::from_secs(60);
        let told = self.cloudwatch.get_metric_data().metric_data_queries(query);
        let told = told.start_time(DateTime::from(end - Duration::from_secs(600)));
        let told = told.end_time(DateTime::from(end)).send().await.expect("GetMetricData");
        let told = &told.metric_data_results()[0];
        let starts = told.timestamps().iter().map(DateTime::secs);
        starts.zip(told.values().iter().copied()).collect()
    }

    /// A call of a query API that no client of ours speaks, such as CloudFormation.
    pub async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> String {
        let form: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = self.post(service).body(form.join("&"));
        self.answer(service, request.header("content-type", "application/x-www-form-urlencoded"))
            .await
    }

    /// A call of a JSON API, by what stands in its header, such as `AWSEvents.PutRule`.
    pub async fn json(&self, service: &str, target: &str, body: &Value) -> Value {
        let request = self.post(service).header("x-amz-target", target).body(body.to_string());
        let kind = if service == "events" { "1.1" } else { "1.0" };
        let request = request.header("content-type", format!("application/x-amz-json-{kind}"));
        let answer = self.answer(target, request).await;
        serde_json::from_str(&answer).unwrap_or_default()
    }

    fn post(&self, service: &str) -> reqwest::RequestBuilder {
        let scope = format!("{}/20260101/{REGION}/{service}/aws4_request", self.account);
        // The endpoint takes account and service from the header and checks no signature.
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        self.http.post(&self.endpoint).header("authorization", authorization)
    }

    async fn answer(&self, what: &str, request: reqwest::RequestBuilder) -> String {
        let answer = request.send().await.expect("the endpoint answers");
        let status = answer.status();
        let body = answer.text().await.expect("text");
        assert!(status.is_success(), "{what}: {body}");
        body
    }

    /// What this is called in the account.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{REGION}:{}:{resource}", self.account)
    }

    // ---- Building

    /// Creates a stack and waits until it is complete; what CloudFormation tells of it then.
    pub async fn stack(&self, template: &str, parameters: &[(&str, &str)]) -> String {
        let mut form = vec![
            ("Action".to_owned(), "CreateStack"),
            ("Version".to_owned(), "2010-05-15"),
            ("StackName".to_owned(), "demo"),
            ("TemplateBody".to_owned(), template),
            ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM"),
        ];
        for (index, (name, value)) in parameters.iter().enumerate() {
            let member = format!("Parameters.member.{}", index + 1);
            form.push((format!("{member}.ParameterKey"), name));
            form.push((format!("{member}.ParameterValue"), value));
        }
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        self.query("cloudformation", &form).await;
        let ask = [("Action", "DescribeStacks"), ("Version", "2010-05-15"), ("StackName", "demo")];
        eventually("the stack to be complete", async || {
            let answer = self.query("cloudformation", &ask).await;
            assert!(!answer.contains("FAILED"), "{answer}");
            answer.contains("CREATE_COMPLETE").then_some(answer)
        })
        .await
    }

    /// Cluster `c`.
    pub async fn cluster(&self) {
        self.ecs.create_cluster().cluster_name("c").send().await.expect("CreateCluster");
    }

    /// Cluster `c` with an empty group `g` of m5.large (2048 CPU units), 0 to 10 hosts.
    pub async fn cluster_with_group(&self) {
        self.cluster().await;
        self.group("g", "m5.large", 0, 10).await;
    }

    /// A protected, empty group of one type whose hosts join cluster `c`.
    pub async fn group(&self, name: &str, instance_type: &str, min: i32, max: i32) {
        let template = self.launch_template(name, instance_type).await;
        let specification = LaunchTemplateSpecification::builder();
        let specification = specification.launch_template_id(template).version("$Latest").build();
        let group = self.autoscaling.create_auto_scaling_group().auto_scaling_group_name(name);
        let group = group.launch_template(specification).min_size(min).max_size(max);
        let group = group.vpc_zone_identifier(self.subnets().await.join(","));
        let group = group.new_instances_protected_from_scale_in(true);
        group.send().await.expect("CreateAutoScalingGroup");
    }

    /// The same with several types, unweighted, in this order.
    pub async fn mixed_group(&self, name: &str, types: &[&str], max: i32) {
        use aws_sdk_autoscaling::types::LaunchTemplateOverrides;
        let template = self.launch_template(name, types[0]).await;
        let specification = LaunchTemplateSpecification::builder();
        let specification = specification.launch_template_id(template).version("$Latest").build();
        let overrides =
            types.iter().map(|of| LaunchTemplateOverrides::builder().instance_type(*of).build());
        let template = GroupTemplate::builder().launch_template_specification(specification);
        let template = template.set_overrides(Some(overrides.collect())).build();
        let policy = MixedInstancesPolicy::builder().launch_template(template).build();
        let group = self.autoscaling.create_auto_scaling_group().auto_scaling_group_name(name);
        let group = group.mixed_instances_policy(policy).min_size(0).max_size(max);
        let group = group.vpc_zone_identifier(self.subnets().await.join(","));
        let group = group.new_instances_protected_from_scale_in(true);
        group.send().await.expect("CreateAutoScalingGroup");
    }

    /// A launch template whose instances join cluster `c`; returns its id.
    pub async fn launch_template(&self, name: &str, instance_type: &str) -> String {
        let data = RequestLaunchTemplateData::builder().image_id("ami-12c6146b");
        let data = data.instance_type(instance_type.into()).user_data(user_data());
        let template =
            self.ec2.create_launch_template().launch_template_name(format!("{name}-hosts"));
        let made = template.launch_template_data(data.build()).send().await;
        let made = made.expect("CreateLaunchTemplate").launch_template.expect("a template");
        made.launch_template_id.expect("its id")
    }

    /// Two subnets in two zones, made when first asked for.
    pub async fn subnets(&self) -> Vec<String> {
        let mine = aws_sdk_ec2::types::Filter::builder().name("tag:of").values("test").build();
        let found = self.ec2.describe_subnets().filters(mine).send().await;
        let found = found.expect("DescribeSubnets").subnets.unwrap_or_default();
        if !found.is_empty() {
            return found.into_iter().filter_map(|subnet| subnet.subnet_id).collect();
        }
        let vpc = self.ec2.create_vpc().cidr_block("10.0.0.0/16").send().await;
        let vpc = vpc.expect("CreateVpc").vpc.and_then(|vpc| vpc.vpc_id).expect("its id");
        let mut ids = Vec::new();
        for (index, zone) in ["a", "b"].iter().enumerate() {
            let tag = aws_sdk_ec2::types::Tag::builder().key("of").value("test").build();
            let tags = aws_sdk_ec2::types::TagSpecification::builder();
            let tags = tags.resource_type(ResourceType::Subnet).tags(tag).build();
            let subnet = self.ec2.create_subnet().vpc_id(&vpc).tag_specifications(tags);
            let subnet = subnet.cidr_block(format!("10.0.{index}.0/24"));
            let made = subnet.availability_zone(format!("{REGION}{zone}")).send().await;
            let made = made.expect("CreateSubnet").subnet.expect("a subnet");
            ids.push(made.subnet_id.expect("its id"));
        }
        ids
    }

    /// A task definition with one container; returns its ARN.
    pub async fn definition(&self, family: &str, cpu: i32, memory: i32) -> String {
        let container = ContainerDefinition::builder().name("main").image("busybox");
        let container = container.cpu(cpu).memory(memory).essential(true).build();
        let made = self.ecs.register_task_definition().family(family);
        let made =
            made.container_definitions(container).requires_compatibilities(Compatibility::Ec2);
        let made = made.send().await.expect("RegisterTaskDefinition").task_definition;
        made.and_then(|made| made.task_definition_arn).expect("its ARN")
    }

    /// A service of its own task definition on cluster `c`, healthy from 50 to 200 percent.
    pub async fn service(&self, name: &str, cpu: i32, memory: i32, desired: i32) {
        self.service_in("c", name, cpu, memory, desired).await;
    }

    pub async fn service_in(&self, cluster: &str, name: &str, cpu: i32, memory: i32, desired: i32) {
        use aws_sdk_ecs::types::LaunchType;
        let definition = self.definition(name, cpu, memory).await;
        let made = self.ecs.create_service().cluster(cluster).service_name(name);
        let made = made.task_definition(definition).desired_count(desired);
        let made = made.launch_type(LaunchType::Ec2).deployment_configuration(healthy(50, 200));
        made.send().await.expect("CreateService");
    }

    /// Sets the percents of its desired count between which a service stays.
    pub async fn set_healthy(&self, service: &str, minimum: i32, maximum: i32) {
        let update = self.ecs.update_service().cluster("c").service(service);
        let update = update.deployment_configuration(healthy(minimum, maximum));
        update.send().await.expect("UpdateService");
    }

    pub async fn set_count(&self, service: &str, desired: i32) {
        let update = self.ecs.update_service().cluster("c").service(service);
        update.desired_count(desired).send().await.expect("UpdateService");
    }

    /// Somebody else's hand on the group.
    pub async fn set_desired(&self, group: &str, desired: i32) {
        let set = self.autoscaling.set_desired_capacity().auto_scaling_group_name(group);
        set.desired_capacity(desired).send().await.expect("SetDesiredCapacity");
    }

    // ---- Asking

    pub async fn describe_group(&self, name: &str) -> AutoScalingGroup {
        let found = self.autoscaling.describe_auto_scaling_groups();
        let found = found.auto_scaling_group_names(name).send().await;
        let found = found.expect("DescribeAutoScalingGroups").auto_scaling_groups;
        found.unwrap_or_default().pop().expect("the group")
    }

    pub async fn desired(&self, group: &str) -> i32 {
        self.describe_group(group).await.desired_capacity.expect("its desired capacity")
    }

    pub async fn members(&self, group: &str) -> Vec<Instance> {
        self.describe_group(group).await.instances.unwrap_or_default()
    }

    /// The container instances of cluster `c`.
    pub async fn hosts(&self) -> Vec<ContainerInstance> {
        self.hosts_of("c").await
    }

    pub async fn hosts_of(&self, cluster: &str) -> Vec<ContainerInstance> {
        let arns = self.ecs.list_container_instances().cluster(cluster).send().await;
        let arns = arns.expect("ListContainerInstances").container_instance_arns;
        let Some(arns) = arns.filter(|arns| !arns.is_empty()) else { return Vec::new() };
        let found = self.ecs.describe_container_instances().cluster(cluster);
        let found = found.set_container_instances(Some(arns)).send().await;
        found.expect("DescribeContainerInstances").container_instances.unwrap_or_default()
    }

    /// The hosts once there are this many, all registered.
    pub async fn hosts_when(&self, count: usize) -> Vec<ContainerInstance> {
        eventually(&format!("{count} hosts"), async || {
            Some(self.hosts().await).filter(|hosts| hosts.len() == count)
        })
        .await
    }

    pub async fn describe_service(&self, cluster: &str, name: &str) -> Service {
        let found = self.ecs.describe_services().cluster(cluster).services(name).send().await;
        let found = found.expect("DescribeServices").services;
        found.unwrap_or_default().pop().expect("the service")
    }

    /// Waits until all tasks that a service of cluster `c` wants run, and no others.
    pub async fn steady(&self, name: &str) -> Service {
        self.steady_in("c", name).await
    }

    pub async fn steady_in(&self, cluster: &str, name: &str) -> Service {
        eventually(&format!("{name} to be steady"), async || {
            let service = self.describe_service(cluster, name).await;
            let all = service.running_count == service.desired_count && service.pending_count == 0;
            (all && service.deployments().len() == 1).then_some(service)
        })
        .await
    }

    /// The tasks of cluster `c` that should run (or, with `stopped`, those that have stopped).
    pub async fn tasks(&self, stopped: bool) -> Vec<Task> {
        use aws_sdk_ecs::types::DesiredStatus;
        let status = if stopped { DesiredStatus::Stopped } else { DesiredStatus::Running };
        let arns = self.ecs.list_tasks().cluster("c").desired_status(status).send().await;
        let arns = arns.expect("ListTasks").task_arns.unwrap_or_default();
        let mut tasks = Vec::new();
        for arns in arns.chunks(100) {
            let found = self.ecs.describe_tasks().cluster("c").set_tasks(Some(arns.to_vec()));
            let found = found.send().await.expect("DescribeTasks").tasks;
            tasks.extend(found.unwrap_or_default());
        }
        tasks
    }

    /// Ids of the EC2 instances that live, of whatever pool.
    pub async fn instances(&self) -> Vec<String> {
        let found = self.ec2.describe_instances().send().await.expect("DescribeInstances");
        let all = found.reservations().iter().flat_map(|reservation| reservation.instances());
        let alive = all.filter(|instance| {
            let state = instance.state().and_then(|state| state.name());
            state.is_some_and(|state| matches!(state.as_str(), "pending" | "running"))
        });
        alive.filter_map(|instance| instance.instance_id.clone()).collect()
    }
}

/// A resource of a container instance, such as `CPU`, in its own unit.
pub fn amount(resources: &[Resource], name: &str) -> i64 {
    let found = resources.iter().find(|resource| resource.name() == Some(name));
    i64::from(found.expect("every host has it").integer_value())
}

fn healthy(minimum: i32, maximum: i32) -> aws_sdk_ecs::types::DeploymentConfiguration {
    let percents = aws_sdk_ecs::types::DeploymentConfiguration::builder();
    percents.minimum_healthy_percent(minimum).maximum_percent(maximum).build()
}

/// Base64 of user data that makes an instance join cluster `c`.
pub fn user_data() -> &'static str {
    // #!/bin/bash, echo ECS_CLUSTER=c >> /etc/ecs/ecs.config
    "IyEvYmluL2Jhc2gKZWNobyBFQ1NfQ0xVU1RFUj1jID4+IC9ldGMvZWNzL2Vjcy5jb25maWcK"
}

/// Percent-encoded for a query or a form.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("text");
        }
    }
    encoded
}
