//! A load balancer at the wire: one listener with a rule of ours and a rule of somebody else.

use super::fake::{Asked, Reply};

pub(super) const BALANCER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/shop/50dc";
pub(super) const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/shop/50dc/f2f7";
/// Ours, for the route `split/users`.
pub(super) const RULE: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/shop/50dc/f2f7/9683";
/// Somebody else's.
pub(super) const OTHER_RULE: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/shop/50dc/f2f7/9684";

pub(super) fn group_arn(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{name}/1")
}

pub(super) fn answer(asked: &Asked) -> Reply {
    let (_, operation) = asked.call.split_once(':').unwrap();
    match operation {
        "DescribeListeners" => listeners(),
        "DescribeRules" => rules([ours(75, 25), theirs()]),
        "DescribeTargetGroups" => {
            target_groups([target_group("blue", true), target_group("green", true)])
        }
        "DescribeTargetGroupAttributes" => attributes(300),
        "DescribeTargetHealth" => health(&["healthy", "healthy", "draining"]),
        "DescribeLoadBalancers" => balancers(),
        "DescribeTags" => tags([
            (RULE.to_owned(), "route/split/users", "web"),
            (group_arn("green"), "group/users", "web"),
            (group_arn("blue"), "group/monolith", "another"),
        ]),
        _ => Reply::Xml(String::new()),
    }
}

pub(super) fn not_found(code: &'static str) -> Reply {
    Reply::Error(400, code, "One or more not found")
}

pub(super) fn listeners() -> Reply {
    Reply::Xml(format!(
        "<Listeners><member><ListenerArn>{LISTENER}</ListenerArn>\
         <LoadBalancerArn>{BALANCER}</LoadBalancerArn><Port>80</Port><Protocol>HTTP</Protocol>\
         <DefaultActions>{}</DefaultActions></member></Listeners>",
        forward(&[("blue", 1)])
    ))
}

pub(super) fn balancers() -> Reply {
    Reply::Xml(format!(
        "<LoadBalancers><member><LoadBalancerArn>{BALANCER}</LoadBalancerArn>\
         <DNSName>shop.example.com</DNSName><VpcId>vpc-7</VpcId></member></LoadBalancers>"
    ))
}

pub(super) fn forward(weights: &[(&str, u32)]) -> String {
    let tuple = |(name, weight): &(&str, u32)| {
        let arn = group_arn(name);
        format!("<member><TargetGroupArn>{arn}</TargetGroupArn><Weight>{weight}</Weight></member>")
    };
    let tuples: String = weights.iter().map(tuple).collect();
    format!(
        "<member><Type>forward</Type><Order>1</Order><ForwardConfig><TargetGroups>{tuples}\
         </TargetGroups><TargetGroupStickinessConfig><Enabled>false</Enabled>\
         </TargetGroupStickinessConfig></ForwardConfig></member>"
    )
}

/// A rule on one path.
pub(super) fn rule(arn: &str, priority: &str, actions: &str) -> String {
    rule_on("/api/users*", arn, priority, actions)
}

fn rule_on(path: &str, arn: &str, priority: &str, actions: &str) -> String {
    let condition = format!(
        "<member><Field>path-pattern</Field><PathPatternConfig><Values><member>{path}</member>\
         </Values></PathPatternConfig></member>"
    );
    format!(
        "<member><RuleArn>{arn}</RuleArn><Priority>{priority}</Priority>\
         <Conditions>{condition}</Conditions><Actions>{actions}</Actions>\
         <IsDefault>{}</IsDefault></member>",
        priority == "default"
    )
}

/// Our rule by the weights of blue and green.
pub(super) fn ours(blue: u32, green: u32) -> String {
    rule(RULE, "10", &forward(&[("blue", blue), ("green", green)]))
}

/// Our rule at a place, for requests to a path.
pub(super) fn ours_at(priority: &str, path: &str) -> String {
    rule_on(path, RULE, priority, &forward(&[("green", 1)]))
}

pub(super) fn theirs() -> String {
    rule(OTHER_RULE, "20", &forward(&[("blue", 1)]))
}

pub(super) fn rules(rules: impl IntoIterator<Item = String>) -> Reply {
    let rules: String = rules.into_iter().collect();
    let default = rule("default-rule", "default", &forward(&[("blue", 1)]));
    Reply::Xml(format!("<Rules>{rules}{default}</Rules>"))
}

pub(super) fn target_group(name: &str, in_use: bool) -> String {
    let arn = group_arn(name);
    let balancer = if in_use { format!("<member>{BALANCER}</member>") } else { String::new() };
    format!(
        "<member><TargetGroupArn>{arn}</TargetGroupArn><TargetGroupName>{name}</TargetGroupName>\
         <Protocol>HTTP</Protocol><Port>80</Port><HealthCheckPath>/health</HealthCheckPath>\
         <HealthCheckIntervalSeconds>6</HealthCheckIntervalSeconds>\
         <HealthCheckTimeoutSeconds>5</HealthCheckTimeoutSeconds>\
         <HealthyThresholdCount>2</HealthyThresholdCount>\
         <UnhealthyThresholdCount>2</UnhealthyThresholdCount><Matcher><HttpCode>200</HttpCode>\
         </Matcher><LoadBalancerArns>{balancer}</LoadBalancerArns></member>"
    )
}

pub(super) fn target_groups(groups: impl IntoIterator<Item = String>) -> Reply {
    let groups: String = groups.into_iter().collect();
    Reply::Xml(format!("<TargetGroups>{groups}</TargetGroups>"))
}

pub(super) fn attributes(delay: u32) -> Reply {
    let of =
        |key: &str, value: &str| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let all = of("deregistration_delay.timeout_seconds", &delay.to_string())
        + &of("slow_start.duration_seconds", "0")
        + &of("stickiness.enabled", "false")
        + &of("stickiness.type", "lb_cookie")
        + &of("stickiness.lb_cookie.duration_seconds", "86400");
    Reply::Xml(format!("<Attributes>{all}</Attributes>"))
}

pub(super) fn health(states: &[&str]) -> Reply {
    let target = |state: &&str| {
        format!(
            "<member><Target><Id>i-1</Id><Port>1</Port></Target>\
             <TargetHealth><State>{state}</State></TargetHealth></member>"
        )
    };
    let all: String = states.iter().map(target).collect();
    Reply::Xml(format!("<TargetHealthDescriptions>{all}</TargetHealthDescriptions>"))
}

/// Purpose and cluster of each.
pub(super) fn tags<'a>(all: impl IntoIterator<Item = (String, &'a str, &'a str)>) -> Reply {
    let tag =
        |key: &str, value: &str| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let described = all.into_iter().map(|(arn, purpose, cluster)| {
        let tags = tag("tidegate:purpose", purpose) + &tag("tidegate:cluster", cluster);
        format!("<member><ResourceArn>{arn}</ResourceArn><Tags>{tags}</Tags></member>")
    });
    let described: String = described.collect();
    Reply::Xml(format!("<TagDescriptions>{described}</TagDescriptions>"))
}
