//! What a team does first: look, and let it look. AWS is not written to.

use serde_json::{Value, json};

use crate::aws::World;
use crate::footing::config;
use crate::harness::{Tidegate, acting, eventually};

/// One m5.large (2048 CPU units) is full with a task of 1280 while a second one waits.
async fn a_cluster_short_of_a_host(world: &World) {
    world.cluster().await;
    world.group("g", "m5.large", 1, 10).await;
    world.service("web", 1280, 256, 2).await;
    world.hosts_when(1).await;
    eventually("one task runs", async || {
        (world.describe_service("c", "web").await.running_count == 1).then_some(())
    })
    .await;
}

async fn assert_only_reads(world: &World, after: u64) {
    let requests = world.requests(after).await;
    assert!(!requests.is_empty(), "the record is empty");
    let writes: Vec<_> = requests.iter().filter(|request| request.writes()).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_and_observing_make_no_mutating_call() {
    let world = World::new().await;
    a_cluster_short_of_a_host(&world).await;
    let before = world.mark().await;

    // A look without any configuration names what is missing: a host for the task, and by default
    // one for headroom of one more like it.
    let mut tidegate = Tidegate::new(&world.endpoint, &world, "c", "").await;
    let plan = tidegate.tell(&["plan", "--cluster", "c"]).await;
    assert!(plan.contains("g desired capacity 1 -> 3"), "{plan}");

    // Before that it can be asked as whom AWS sees it.
    let told = tidegate.run(&["doctor", "--cluster", "c", "--output", "json"]).await.stdout;
    let told: Value = serde_json::from_slice(&told).expect("JSON");
    assert!(told["identity"].as_str().is_some_and(|arn| arn.contains(&world.account)), "{told}");

    // What is written for the team to start from runs as it is, in mode observe: with a file for
    // its journal, and without a queue.
    let file = tidegate.tell(&["config", "init", "--cluster", "c"]).await;
    tidegate.configure(&file);
    let path = tidegate.config_path();
    tidegate.tell(&["config", "check", "--config", path.to_str().expect("text")]).await;
    // Even where a person has asked for more: the file's ceiling holds.
    tidegate.set_mode("act").await;
    tidegate.start().await;
    let status = tidegate
        .status_when("a raise is planned", |status| {
            status["plan"]["not_allowed"][0]["kind"] == "scale_out"
        })
        .await;
    assert_eq!(status["mode"]["effective"], "observe");
    assert_eq!(status["tasks"]["unplaced"], 1);
    tidegate.kill();
    assert_only_reads(&world, before).await;

    // The same over several ticks where only the stored mode is low.
    tidegate.configure(&config(&world, "c", &["auto_scaling_group: g"], ""));
    tidegate.start().await;
    tidegate.set_mode("observe").await;
    tidegate.ticks(4).await;
    let status = tidegate.status().await.expect("a status");
    assert_eq!(status["plan"]["not_allowed"][0]["kind"], "scale_out", "{}", status["plan"]);
    assert_only_reads(&world, before).await;
    assert_eq!(world.desired("g").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_config_init_in_mode_act_runs_and_orders_the_host() {
    let world = World::new().await;
    a_cluster_short_of_a_host(&world).await;
    let writer = Tidegate::new(&world.endpoint, &world, "c", "").await;
    let init = ["config", "init", "--cluster", "c", "--mode", "act"];
    let file = writer.tell(&[&init[..], &["--allow", "scale_out,scale_in"]].concat()).await;
    assert!(file.contains("auto_scaling_group: g"), "{file}");
    let tidegate = acting(&world, "c", &file).await;
    let status = tidegate.status_when("the first look", |_| true).await;
    assert_eq!(status["allow"], json!(["scale_out", "scale_in"]));
    // Two tasks of 1280 and, by default, headroom for one more like them: one on a host each.
    eventually("the hosts", async || (world.desired("g").await == 3).then_some(())).await;
    world.steady("web").await;
}

/// Anybody with the console can, without a token.
#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_of_ssm_stops_it_and_its_removal_lets_it_go_on() {
    let world = World::new().await;
    a_cluster_short_of_a_host(&world).await;
    let stop = "/tidegate/c/stop";
    let put = json!({ "Name": stop, "Value": "observe incident 7", "Type": "String" });
    world.ssm("PutParameter", put).await;
    let before = world.mark().await;
    let switch = "stop_parameter: /tidegate/c/stop";
    let tidegate =
        acting(&world, "c", &config(&world, "c", &["auto_scaling_group: g"], switch)).await;
    tidegate.held("stopped").await;
    assert_eq!(world.desired("g").await, 1);
    assert!(world.sent("SetDesiredCapacity", before).await.is_empty());
    world.ssm("DeleteParameter", json!({ "Name": stop })).await;
    eventually("it goes on", async || (world.desired("g").await == 2).then_some(())).await;
}

/// Of what is told elsewhere, one topic with a queue behind it.
async fn a_topic(world: &World) -> (String, aws_sdk_sqs::Client, String) {
    let made = world.sns("CreateTopic", &[("Name", "tidegate-news")]).await;
    let (_, arn) = made.split_once("<TopicArn>").expect("an ARN");
    let arn = arn.split('<').next().expect("an ARN").to_owned();
    let sqs = aws_sdk_sqs::Client::new(&world.sdk);
    let queue = sqs.create_queue().queue_name("news").send().await.expect("CreateQueue");
    let queue = queue.queue_url().expect("its URL").to_owned();
    let of_queue = format!("arn:aws:sqs:{}:{}:news", crate::aws::REGION, world.account);
    let subscribed =
        [("TopicArn", arn.as_str()), ("Protocol", "sqs"), ("Endpoint", of_queue.as_str())];
    world.sns("Subscribe", &subscribed).await;
    (arn, sqs, queue)
}

/// The same program with its configuration in S3 and in SSM; a change there is taken up.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_in_s3_or_ssm_is_read_again_and_a_topic_of_sns_is_told() {
    let world = World::new().await;
    world.cluster_with_group().await;
    let (topic, sqs, queue) = a_topic(&world).await;
    let notify = format!("notify: [{{ sns: \"{topic}\" }}]\n");
    let text = notify + &config(&world, "c", &["auto_scaling_group: g"], "");
    let mut tidegate = Tidegate::new(&world.endpoint, &world, "c", &text).await;
    let bucket = format!("tidegate-{}", world.account);
    let (object, parameter) = (format!("s3://{bucket}/prod/a b.yaml"), "ssm:/tidegate/config");
    world.s3_put(&bucket, "").await;
    world.s3_put(&format!("{bucket}/prod/a%20b.yaml"), &text).await;
    let put = async |text: &str| {
        let name = "/tidegate/config";
        let put = json!({ "Name": name, "Value": text, "Type": "String", "Overwrite": true });
        world.ssm("PutParameter", put).await;
    };
    put(&text).await;
    tidegate.read_from(&object);
    let checked = tidegate.tell(&["config", "check", "--config", &object]).await;
    assert!(checked.contains("valid, c"), "{checked}");

    tidegate.read_from(parameter);
    let tried = tidegate.tell(&["notify", "test", "--config", parameter]).await;
    assert!(tried.contains("arrived") && !tried.contains("not arrived"), "{tried}");
    let told = eventually("the notice", async || {
        let messages = sqs.receive_message().queue_url(&queue).send().await.ok()?.messages?;
        messages.into_iter().next()?.body
    })
    .await;
    assert!(told.contains("Tidegate: ") && told.contains("test"), "{told}");

    tidegate.start().await;
    tidegate.status_when("the ceiling of the parameter", |s| s["mode"]["ceiling"] == "act").await;
    put(&text.replace("mode: act", "mode: recommend")).await;
    tidegate.hang_up();
    let lowered = "the ceiling of the new parameter";
    tidegate.status_when(lowered, |status| status["mode"]["ceiling"] == "recommend").await;
}
