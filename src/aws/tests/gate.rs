//! What an observation makes of load balancers.

use std::collections::BTreeMap;

use super::balancer::*;
use super::fake::{Fake, Reply};
use super::*;
use crate::model::Asked;
use crate::model::*;

const RULES: &str = "elasticloadbalancing:DescribeRules";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";

fn traffic_need() -> Need {
    let traffic = TrafficNeed {
        listeners: [LISTENER.into()].into(),
        load_period_seconds: 60,
        ..TrafficNeed::default()
    };
    Need { traffic: Some(traffic), ..need() }
}

fn with_traffic(change: impl FnOnce(&mut TrafficNeed)) -> Need {
    let mut need = traffic_need();
    change(need.traffic.as_mut().unwrap());
    need
}

fn fake() -> (Fake, TestClock) {
    (Fake::new(small), TestClock::new())
}

#[tokio::test]
async fn a_listener_is_seen_with_its_rules_their_groups_and_whose_they_are() {
    let (fake, clock) = fake();
    let seen = fake.aws(&clock).observe(&traffic_need()).await;
    assert_eq!(seen.gaps().next(), None);
    let traffic = &seen.traffic.value;
    let listener = &traffic.listeners[&LISTENER.into()];
    assert_eq!((listener.protocol.as_str(), listener.port), ("HTTP", 80));
    assert_eq!(listener.default.to_string(), "blue 100");
    let rules: Vec<_> = listener.rules.iter().map(|r| (r.priority, r.image.to_string())).collect();
    assert_eq!(rules, [(10, "blue 75, green 25".to_owned()), (20, "blue 100".to_owned())]);
    let route = Purpose::Route("split/users".parse().unwrap());
    assert_eq!(traffic.rule_for(&LISTENER.into(), &route).unwrap().arn, RULE.into());
    assert_eq!(listener.rules[1].owner, Owner::Other);

    let (blue, green) =
        (traffic.group_named("blue").unwrap(), traffic.group_named("green").unwrap());
    // A purpose of another cluster is somebody else's.
    assert_eq!(blue.owner, Owner::Other);
    assert_eq!(green.owner, Owner::Tidegate(Purpose::Group("users".into())));
    assert_eq!(green.health, Some(Health { healthy: 2, draining: 1, ..Health::default() }));
    assert_eq!(green.load_balancer, Some(BALANCER.into()));
    assert_eq!(green.settings.health_check.path, "/health");
    assert_eq!(green.settings.deregistration_delay_seconds, 300);
    assert_eq!(green.settings.stickiness_seconds, None);
}

#[tokio::test]
async fn groups_of_services_and_by_name_are_seen_and_a_name_without_group_is_no_gap() {
    let (fake, clock) = fake();
    let targets = json!([{
        "targetGroupArn": group_arn("green"), "containerName": "main", "containerPort": 80,
        "advancedConfiguration": {
            "productionListenerRule": "arn:rule:a", "testListenerRule": "arn:rule:b",
            "alternateTargetGroupArn": "arn:x", "roleArn": "arn:r",
        },
    }]);
    let behind = with(service("shop"), "loadBalancers", targets);
    fake.on("ecs:DescribeServices", [Reply::Json(json!({ "services": [behind] }))]);
    let asked = "elasticloadbalancing:DescribeTargetGroups";
    fake.on(asked, [not_found("TargetGroupNotFound")]);
    let need = with_traffic(|need| {
        need.listeners.clear();
        need.groups = ["green".to_owned(), "absent".to_owned()].into();
    });
    let aws = fake.aws(&clock);
    let seen = aws.observe(&need).await;
    assert_eq!((seen.traffic.gaps.as_slice(), seen.traffic.value.groups.len()), (&[][..], 0));
    // Its name is known from its ARN: it is asked for once.
    assert_eq!(fake.asked(asked).len(), 2);

    fake.on(asked, [target_groups([target_group("green", true)])]);
    let seen = aws.observe(&need).await;
    assert!(seen.traffic.value.group_named("green").is_some());
    let shop = &seen.services.value[&"shop".into()];
    assert_eq!(shop.targets[0].group, group_arn("green").into());
    assert_eq!(shop.native_rules, ["arn:rule:a".into(), "arn:rule:b".into()].into());
}

#[tokio::test]
async fn rules_come_in_pages() {
    let (fake, clock) = fake();
    let page = |rule: String, next: &str| Reply::Xml(format!("<Rules>{rule}</Rules>{next}"));
    let pages = [page(ours(1, 0), "<NextMarker>2</NextMarker>"), page(theirs(), "")];
    fake.on(RULES, pages);
    let seen = fake.aws(&clock).observe(&traffic_need()).await;
    assert_eq!(seen.traffic.value.listeners[&LISTENER.into()].rules.len(), 2);
    assert!(fake.asked(RULES)[1].body.contains("Marker=2"));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_listener_keeps_its_last_look_with_its_age_and_a_gap() {
    let (fake, clock) = fake();
    let aws = fake.aws(&clock);
    let first = aws.observe(&traffic_need()).await;
    clock.advance(15);
    fake.on(RULES, [Reply::Error(400, "Throttling", "Rate exceeded")]);
    let second = aws.observe(&traffic_need()).await;
    assert_eq!(second.traffic.value.listeners, first.traffic.value.listeners);
    assert_eq!(second.traffic.as_of, first.taken_at);
    let gap = Gap { source: RULES.to_owned(), failure: Failure::Throttled };
    assert_eq!(second.traffic.gaps, [gap]);

    // Never seen, it is not there at all: half a listener would mislead.
    let fresh = fake.aws(&clock);
    let seen = fresh.observe(&traffic_need()).await;
    assert!(seen.traffic.value.listeners.is_empty() && !seen.traffic.gaps.is_empty());
    assert!(fresh.traffic_of_listener(&LISTENER.into()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_may_be_left_is_no_gap_when_it_is_gone() {
    let (fake, clock) = fake();
    let left = with_traffic(|need| std::mem::swap(&mut need.listeners, &mut need.left));
    let aws = fake.aws(&clock);
    assert_eq!(aws.observe(&left).await.traffic.value.listeners.len(), 1);
    fake.on("elasticloadbalancing:DescribeListeners", [not_found("ListenerNotFound")]);
    let seen = aws.observe(&left).await.traffic;
    assert!(seen.value.listeners.is_empty() && seen.gaps.is_empty(), "{:?}", seen.gaps);
    assert!(!aws.observe(&traffic_need()).await.traffic.gaps.is_empty());
}

#[tokio::test]
async fn a_group_whose_health_cannot_be_read_has_none() {
    let (fake, clock) = fake();
    fake.on(HEALTH, [Reply::Error(403, "AccessDenied", "no")]);
    let seen = fake.aws(&clock).observe(&traffic_need()).await;
    assert!(seen.traffic.value.groups.values().all(|group| group.health.is_none()));
    let failure = Failure::AccessDenied { action: HEALTH.to_owned() };
    assert_eq!(seen.traffic.gaps, [Gap { source: HEALTH.to_owned(), failure }]);
}

#[tokio::test]
async fn states_of_targets_are_counted_apart() {
    let (fake, clock) = fake();
    let states =
        ["healthy", "unhealthy", "initial", "unused", "draining", "unhealthy.draining", "strange"];
    fake.on(HEALTH, [health(&states)]);
    let seen = fake.aws(&clock).observe(&traffic_need()).await;
    let health = seen.traffic.value.group_named("blue").unwrap().health.unwrap();
    let expected = Health { healthy: 1, unhealthy: 2, initial: 1, draining: 2, unused: 1 };
    assert_eq!(health, expected);
}

#[tokio::test]
async fn tags_and_foreign_attributes_are_read_again_after_a_while_and_ours_each_time() {
    let (fake, clock) = fake();
    let aws = fake.aws(&clock);
    let count = |call: &str| fake.asked(&format!("elasticloadbalancing:{call}")).len();
    aws.observe(&traffic_need()).await;
    assert_eq!((count("DescribeTags"), count("DescribeTargetGroupAttributes")), (1, 2));
    clock.advance(15);
    aws.observe(&traffic_need()).await;
    assert_eq!((count("DescribeTags"), count("DescribeTargetGroupAttributes")), (1, 3));
    clock.advance(180);
    aws.observe(&traffic_need()).await;
    assert_eq!((count("DescribeTags"), count("DescribeTargetGroupAttributes")), (2, 5));
}

#[tokio::test]
async fn a_quick_look_reads_traffic_and_services_only() {
    let (fake, clock) = fake();
    let aws = fake.aws(&clock);
    aws.observe(&traffic_need()).await;
    clock.advance(2);
    let before = total(&aws);
    let seen = aws.observe(&Need { only_traffic: true, ..traffic_need() }).await;
    // Services; listener, rules and groups; what is ours of attributes; two healths.
    assert_eq!(total(&aws) - before, 1 + 3 + 1 + 2);
    assert_eq!((seen.services.as_of, seen.services.value.len()), (seen.taken_at, 1));
    assert_eq!((seen.traffic.as_of, seen.traffic.value.groups.len()), (seen.taken_at, 2));
    assert_eq!((seen.hosts.as_of, seen.hosts.value.len()), (DateTime::UNIX_EPOCH, 0));
    assert_eq!(fake.asked("ecs:ListServices").len(), 1);
}

#[tokio::test]
async fn load_is_read_of_periods_that_are_over() {
    let (fake, clock) = fake();
    let now = clock.now().timestamp();
    let minute = now - now.rem_euclid(60);
    let series = |id: &str, values: &[(i64, f64)]| {
        let at: Vec<_> = values.iter().map(|(at, _)| json!({ "at": minute + at })).collect();
        let values: Vec<_> = values.iter().map(|(_, value)| json!(value)).collect();
        json!({ "Id": id, "Timestamps": at, "Values": values, "StatusCode": "Complete" })
    };
    // Blue is the first group, green the second.
    let results = [
        series("g0m0", &[(-120, 10.0), (-60, 20.0)]),
        series("g0m1", &[(-60, 2.0)]),
        series("g0m2", &[(-60, 1.0)]),
        series("g0m3", &[(-60, 0.0204)]),
        series("g0m4", &[(-60, 0.2)]),
        series("g0m5", &[(-60, 1.5)]),
    ];
    fake.on("cloudwatch:GetMetricData", [Reply::Json(json!({ "MetricDataResults": results }))]);
    let since = clock.now() - TimeDelta::minutes(10);
    let need = with_traffic(|need| need.load_since = Some(since));
    let seen = fake.aws(&clock).observe(&need).await;
    assert_eq!(seen.traffic.gaps, []);
    let at = |seconds: i64| DateTime::from_timestamp(minute + seconds, 0).unwrap();
    let quiet = Load {
        at: at(-120),
        period_seconds: 60,
        requests: 10,
        errors_5xx: 0,
        latency_p50_ms: None,
        latency_p95_ms: None,
        latency_p99_ms: None,
    };
    let busy = Load {
        at: at(-60),
        requests: 20,
        errors_5xx: 3,
        latency_p50_ms: Some(20),
        latency_p95_ms: Some(200),
        latency_p99_ms: Some(1500),
        ..quiet
    };
    assert_eq!(seen.traffic.value.group_named("blue").unwrap().load, [quiet, busy]);
    assert_eq!(seen.traffic.value.group_named("green").unwrap().load, []);
    let [asked] = fake.asked("cloudwatch:GetMetricData").try_into().unwrap();
    assert!(asked.body.contains("app/shop/50dc") && asked.body.contains("targetgroup/green/1"));
}

/// Metrics are paid for one by one.
#[tokio::test]
async fn load_is_read_only_of_groups_that_a_listener_leads_to_or_that_are_wanted_by_name() {
    let (fake, clock) = fake();
    let entry = json!({
        "targetGroupArn": group_arn("aside"), "containerName": "main", "containerPort": 80,
    });
    let behind = with(service("shop"), "loadBalancers", json!([entry]));
    fake.on("ecs:DescribeServices", [Reply::Json(json!({ "services": [behind] }))]);
    let all = ["blue", "green", "aside"].map(|name| target_group(name, true));
    fake.on("elasticloadbalancing:DescribeTargetGroups", [target_groups(all)]);
    let since = clock.now() - TimeDelta::minutes(10);
    let need = with_traffic(|need| need.load_since = Some(since));
    let seen = fake.aws(&clock).observe(&need).await;
    assert!(seen.traffic.value.group_named("aside").unwrap().health.is_some());
    let [asked] = fake.asked("cloudwatch:GetMetricData").try_into().unwrap();
    assert!(!asked.body.contains("targetgroup/aside/1"));
}

#[tokio::test(start_paused = true)]
async fn load_that_cannot_be_read_is_a_gap() {
    let (fake, clock) = fake();
    let call = "cloudwatch:GetMetricData";
    fake.on(call, [Reply::Error(403, "AccessDenied", "no")]);
    let since = clock.now() - TimeDelta::minutes(10);
    let need = with_traffic(|need| need.load_since = Some(since));
    let seen = fake.aws(&clock).observe(&need).await;
    let failure = Failure::AccessDenied { action: call.to_owned() };
    assert_eq!(seen.traffic.gaps, [Gap { source: call.to_owned(), failure }]);
}

fn ask(name: &str, of: Asked) -> Ask {
    Ask { name: name.to_owned(), of }
}

fn said(seen: &Snapshot) -> BTreeMap<&str, Said> {
    let readings = seen.traffic.value.readings.iter();
    readings.map(|(name, reading)| (name.as_str(), reading.said)).collect()
}

#[tokio::test]
async fn alarms_are_asked_together_and_one_that_is_not_there_says_nothing() {
    let (fake, clock) = fake();
    let alarm = |name: &str, state: &str| json!({ "AlarmName": name, "StateValue": state, "StateReason": "because" });
    let metric = [alarm("a", "OK"), alarm("b", "ALARM")];
    let composite = [alarm("c", "INSUFFICIENT_DATA")];
    let answer = json!({ "MetricAlarms": metric, "CompositeAlarms": composite });
    fake.on("cloudwatch:DescribeAlarms", [Reply::Json(answer)]);
    let asks = ["a", "b", "c", "d"];
    let asks = asks.map(|name| ask(name, Asked::Alarm { alarm: name.to_owned() }));
    let need = with_traffic(|need| need.asks = asks.into());
    let aws = fake.aws(&clock);
    let seen = aws.observe(&need).await;
    let expected =
        [("a", Said::Pass), ("b", Said::Fail), ("c", Said::Inconclusive), ("d", Said::Nothing)];
    assert_eq!(said(&seen), expected.into());
    assert_eq!(seen.traffic.value.readings["b"].detail, "because");
    assert_eq!(fake.asked("cloudwatch:DescribeAlarms").len(), 1);

    fake.on("cloudwatch:DescribeAlarms", [Reply::Error(403, "AccessDenied", "no")]);
    let seen = aws.observe(&need).await;
    let reading = &seen.traffic.value.readings["a"];
    let detail = "cloudwatch:DescribeAlarms failed: not permitted: cloudwatch:DescribeAlarms";
    assert_eq!((reading.said, reading.detail.as_str()), (Said::Nothing, detail));
}

/// Answers each connection with the first answer whose path its request has.
async fn web(answers: &'static [(&'static str, &'static str)]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = socket.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let found = answers.iter().find(|(part, _)| request.contains(part));
            let answer = found.map_or("HTTP/1.1 404 Not Found\r\n\r\n", |(_, answer)| answer);
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn checks_queries_and_probes_say_what_they_were_told() {
    const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let base = web(&[
        ("get /pass", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\npass"),
        ("get /json", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\":\"fail\"}"),
        (
            "get /api/v1/query?query=errors%7bjob%3d%22x%22%7d ",
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\":\"success\",\"data\":{\
             \"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1.5,\"0.02\"]}]}}",
        ),
        (
            "get /api/v1/query?query=none",
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\":\"success\",\"data\":{\
             \"resultType\":\"vector\",\"result\":[]}}",
        ),
        ("get /moved", "HTTP/1.1 302 Found\r\nlocation: /pass\r\nconnection: close\r\n\r\n"),
        ("host: shop.example.com\r\nx-probe: token", OK),
        ("x-probe: token\r\naccept: */*\r\nhost: shop.example.com", OK),
        ("x-probe: token\r\nhost: shop.example.com", OK),
    ])
    .await;
    let query = |query: &str, below: &str| Asked::Prometheus {
        url: base.clone(),
        query: query.to_owned(),
        below: Some(below.to_owned()),
        above: None,
    };
    let check = |path: &str| Asked::Http { url: format!("{base}{path}") };
    let probe = |url: String, expect_status| Asked::Probe {
        listener: LISTENER.into(),
        url,
        host: Some("shop.example.com".to_owned()),
        header: ("x-probe".to_owned(), "token".to_owned()),
        expect_status,
    };
    let asks = [
        ask("check", check("/pass")),
        ask("json", check("/json")),
        ask("404", check("/none")),
        ask("bad", query("errors{job=\"x\"}", "0.01")),
        ask("good", query("errors{job=\"x\"}", "0.1")),
        ask("empty", query("none", "1")),
        ask("probe", probe(format!("{base}/api/users"), 200)),
        ask("redirected", probe(format!("{base}/moved"), 200)),
        ask("down", probe("http://127.0.0.1:9/".to_owned(), 200)),
    ];
    let (fake, clock) = fake();
    let need = with_traffic(|need| need.asks = asks.into());
    let seen = fake.aws(&clock).observe(&need).await;
    let expected = [
        ("404", Said::Nothing),
        ("bad", Said::Fail),
        ("check", Said::Pass),
        ("down", Said::Nothing),
        ("empty", Said::Inconclusive),
        ("good", Said::Pass),
        ("json", Said::Fail),
        ("probe", Said::Pass),
        ("redirected", Said::Fail),
    ];
    assert_eq!(said(&seen), expected.into(), "{:?}", seen.traffic.value.readings);
    assert_eq!(seen.traffic.value.readings["redirected"].detail, "answered 302");
    assert_eq!(seen.traffic.gaps, []);
}

#[tokio::test]
async fn a_probe_without_a_host_goes_to_the_listeners_own_name() {
    let (fake, clock) = fake();
    let probe = Asked::Probe {
        listener: LISTENER.into(),
        url: "/api/users".to_owned(),
        host: None,
        header: ("x-probe".to_owned(), "token".to_owned()),
        expect_status: 200,
    };
    let need = with_traffic(|need| need.asks = vec![ask("probe", probe)]);
    let balancers = "elasticloadbalancing:DescribeLoadBalancers";
    fake.on(balancers, [Reply::Error(403, "AccessDenied", "no")]);
    let seen = fake.aws(&clock).observe(&need).await;
    let reading = &seen.traffic.value.readings["probe"];
    assert_eq!(reading.detail, "the listener's address is not known");
    assert_eq!(reading.said, Said::Nothing);
    assert_eq!(fake.asked(balancers).len(), 1);
}
