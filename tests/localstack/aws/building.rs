//! What a story is built of: stacks, clusters, groups, services.

use aws_sdk_autoscaling::types::{
    LaunchTemplate as GroupTemplate, LaunchTemplateSpecification, MixedInstancesPolicy,
};
use aws_sdk_ec2::types::{RequestLaunchTemplateData, ResourceType};
use aws_sdk_ecs::types::{Compatibility, ContainerDefinition};

use super::{REGION, World};
use crate::harness::eventually;

impl World {
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
