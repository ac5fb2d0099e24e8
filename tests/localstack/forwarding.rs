//! The data plane itself, without Tidegate: real requests meet the rules, weights and health of the
//! account as an Application Load Balancer would have them.

use std::time::Duration;

use crate::dataplane::load::{Load, Plan, Tally};
use crate::dataplane::{Settings, wall_clock};
use crate::demo::Demo;
use crate::harness::{eventually, within};

const USERS: [&str; 2] = ["/api/users", "/api/users/3"];

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

async fn over(load: &Load, time: u64) -> Tally {
    let before = load.so_far();
    seconds(time).await;
    load.so_far().since(&before)
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_kept_and_a_change_of_them_takes_effect_late() {
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(3));
    let settings =
        Settings { least_rule_delay: least, most_rule_delay: most, ..Settings::compressed() };
    let demo = Demo::new(1, "api", settings).await;
    let (api, users) = (demo.group_named("api").await, demo.group("users").await);
    let rule = demo.rule(1, "/api/users*", &[(&api, 50), (&users, 50)]).await;
    demo.service("api", &api, 1, &[]).await;
    demo.service("users", &users, 1, &[]).await;
    let first_change = async || Some(demo.plane.changes().len()).filter(|count| *count > 0);
    eventually("the rule in effect", first_change).await;

    let load = Load::start(Plan::tutorial(demo.address, 200).only(&USERS)).expect("a load");
    let half = over(&load, 5).await;
    assert!((0.4..0.6).contains(&half.share_of("users")), "{}", half.share_of("users"));

    let changes = demo.plane.changes().len();
    let written = wall_clock();
    demo.set_weights(&rule, &[(&api, 0), (&users, 100)]).await;
    let second_change = async || demo.plane.changes().get(changes).cloned();
    let (at, changed) = within(Duration::from_secs(10), "the change", second_change).await;
    let late = at.duration_since(written).expect("it came after it was written");
    assert_eq!(changed, rule);
    // One look at the endpoint before it is known, and one until it is due.
    assert!(least <= late && late < most + Duration::from_secs(2), "{late:?}");
    let whole = over(&load, 3).await;
    assert!(whole.share_of("users") > 0.99, "{}", whole.share_of("users"));

    let tally = load.stop().await;
    assert!(tally.failures.is_empty(), "{:?}", &tally.failures[..tally.failures.len().min(5)]);
    assert!(tally.right > 1500, "only {} answers", tally.right);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_group_is_503_and_a_killed_target_is_502_until_it_is_found() {
    let demo = Demo::new(1, "users", Settings::compressed()).await;
    let (users, empty) = (demo.group_named("users").await, demo.group("empty").await);
    demo.rule(1, "/empty", &[(&empty, 1)]).await;
    demo.service("users", &users, 2, &[]).await;
    eventually("the rule in effect", async || {
        Some(()).filter(|()| !demo.plane.changes().is_empty())
    })
    .await;

    let got = reqwest::get(format!("http://{}/empty", demo.address)).await.expect("an answer");
    assert_eq!(got.status().as_u16(), 503);

    let load = Load::start(Plan::tutorial(demo.address, 100).only(&USERS)).expect("a load");
    seconds(2).await;
    let victim = demo.tasks_of("users").await.swap_remove(0);
    assert!(demo.plane.kill(&victim));
    eventually("a replacement", async || {
        let tasks = demo.tasks_of("users").await;
        (tasks.len() == 2 && !tasks.contains(&victim)).then_some(())
    })
    .await;
    demo.healthy(&users, 2).await;
    let tally = load.stop().await;
    // Half of 100 a second, for the half second until ECS knows and two looks; not one more retry.
    let failed = tally.failures.len();
    assert!((1..100).contains(&failed), "{failed} failed");
    assert!(tally.failures.iter().all(|failure| failure.status == Some(502)));

    let counted = |name, stat, group| datapoints(&demo, name, stat, group);
    let right = tally.sent - u64::try_from(failed).expect("a count");
    eventually("every request in CloudWatch", async || {
        let all: f64 = counted("RequestCount", "Sum", Some(&users)).await.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "few requests")]
        (all >= right as f64).then_some(())
    })
    .await;
    let own: f64 = counted("HTTPCode_ELB_5XX_Count", "Sum", None).await.iter().sum();
    assert!(own >= 2.0, "{own}");
    let p99 = counted("TargetResponseTime", "p99", Some(&users)).await;
    assert!(!p99.is_empty() && p99.iter().all(|time| (0.0..5.0).contains(time)), "{p99:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_leaves_finishes_what_it_has_and_is_cut_off_after_the_delay() {
    let demo = Demo::new(1, "users", Settings::compressed()).await;
    let users = demo.group_named("users").await;
    demo.service("users", &users, 3, &[("FAULT_LATENCY_MS", "700")]).await;
    let load = Load::start(Plan::tutorial(demo.address, 50).only(&USERS)).expect("a load");
    seconds(2).await;

    // A rolling deployment and a scale-in, with requests in flight all the time.
    let slower = demo.definition("users", &[("FAULT_LATENCY_MS", "1500")]).await;
    let update = demo.world.ecs.update_service().cluster("c").service("users");
    update.task_definition(slower).send().await.expect("UpdateService");
    demo.world.steady("users").await;
    demo.healthy(&users, 3).await;
    demo.world.set_count("users", 2).await;
    demo.healthy(&users, 2).await;
    let so_far = load.so_far();
    assert!(so_far.failures.is_empty(), "{:?}", so_far.failures);

    // Answers take 1.5 s now, longer than what is left to them.
    demo.set_delay(&users, 0).await;
    demo.world.set_count("users", 1).await;
    demo.healthy(&users, 1).await;
    let tally = load.stop().await;
    let cut = tally.failures.len();
    assert!((1..80).contains(&cut), "{cut} cut");
    assert!(tally.failures.iter().all(|failure| failure.status == Some(502)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_a_task_definition_is_felt_and_counted_and_all_unhealthy_is_open() {
    let demo = Demo::new(1, "users", Settings::compressed()).await;
    let users = demo.group_named("users").await;
    demo.service("users", &users, 1, &[("FAULT_5XX_SHARE", "0.1")]).await;

    let state = async |state: &str| {
        for target in demo.plane.targets(&users) {
            let named = [("target-group", users.as_str()), ("target", &target.target)];
            demo.world.control("health", &[&named[..], &[("state", state)]].concat()).await;
        }
        seconds(2).await;
    };
    state("unhealthy").await;
    let load = Load::start(Plan::tutorial(demo.address, 100).only(&USERS)).expect("a load");
    seconds(5).await;
    let tally = load.stop().await;
    let failed = u64::try_from(tally.failures.len()).expect("a count");
    assert!(tally.failures.iter().all(|failure| failure.status == Some(500)));
    assert!((tally.sent / 12..tally.sent / 8).contains(&failed), "{failed} of {}", tally.sent);
    eventually("every error in CloudWatch", async || {
        let errors = datapoints(&demo, "HTTPCode_Target_5XX_Count", "Sum", Some(&users)).await;
        #[expect(clippy::cast_precision_loss, reason = "few requests")]
        (errors.iter().sum::<f64>() == failed as f64).then_some(())
    })
    .await;

    state("initial").await;
    let got = reqwest::get(format!("http://{}/api/users", demo.address)).await.expect("an answer");
    assert_eq!(got.status().as_u16(), 503, "nobody has checked them");
}

/// The values of the last ten minutes.
async fn datapoints(demo: &Demo, name: &str, stat: &str, group: Option<&str>) -> Vec<f64> {
    let told = demo.world.datapoints(&demo.balancer, group, (name, stat), 60).await;
    told.into_iter().map(|(_, value)| value).collect()
}
