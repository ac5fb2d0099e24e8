//! A closer look at a service under release, and the images it names.

use super::fake::Fake;
use super::*;
use crate::cloud::Cloud;
use crate::model::*;

const IMAGES: &str = "ecr:DescribeImages";
const V1: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop/web:v1";
const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const DEFINITION: &str = "arn:aws:ecs:eu-west-1:1:task-definition/shop:1";

fn asking(images: &[&str]) -> Need {
    let images = images.iter().map(|image| ImageName::from(*image)).collect();
    let services = ["shop".into()].into();
    Need { releases: Some(ReleaseNeed { services, images }), ..need() }
}

async fn look(fake: &Fake, images: &[&str]) -> Part<ReleaseSight> {
    fake.aws(&TestClock::new()).observe(&asking(images)).await.releases
}

fn found() -> Reply {
    Reply::Json(json!({ "imageDetails": [{ "imageDigest": DIGEST, "imageTags": ["v1"] }] }))
}

#[tokio::test(start_paused = true)]
async fn an_image_is_looked_up_where_its_name_says() {
    let fake = Fake::new(small);
    fake.on(IMAGES, [found()]);
    let seen = look(&fake, &[V1, "nginx:1.27", &format!("nginx@{DIGEST}")]).await;
    let images = &seen.value.images;
    assert_eq!(images[&V1.into()], ImageSeen::Found { digest: DIGEST.into() });
    assert_eq!(images[&"nginx:1.27".into()], ImageSeen::NotAsked);
    assert_eq!(seen.gaps, []);
    let [asked] = fake.asked(IMAGES).try_into().unwrap();
    assert_eq!(
        asked.json(),
        json!({
            "registryId": "123456789012",
            "repositoryName": "shop/web",
            "imageIds": [{ "imageTag": "v1" }],
        })
    );
    assert!(asked.host.contains("eu-central-1"), "{}", asked.host);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_is_an_answer_and_one_that_cannot_be_asked_a_gap() {
    for code in ["ImageNotFoundException", "RepositoryNotFoundException"] {
        let fake = Fake::new(small);
        fake.on(IMAGES, [Reply::Error(400, code, "it does not exist")]);
        let seen = look(&fake, &[V1]).await;
        assert_eq!(seen.value.images[&V1.into()], ImageSeen::Missing, "{code}");
        assert_eq!(seen.gaps, []);
    }
    let fake = Fake::new(small);
    fake.on(IMAGES, [Reply::Error(400, "AccessDeniedException", "no")]);
    let seen = look(&fake, &[V1]).await;
    assert!(!seen.value.images.contains_key(&V1.into()));
    assert_eq!(seen.gaps[0].failure, Failure::AccessDenied { action: IMAGES.to_owned() });
}

#[tokio::test(start_paused = true)]
async fn what_runs_and_why_tasks_failed_is_told_of_each_revision() {
    let fake = Fake::new(small);
    let task = |id: &str, more: Value| {
        let mut task = json!({
            "taskArn": format!("arn:aws:ecs:eu-west-1:1:task/web/{id}"),
            "taskDefinitionArn": DEFINITION,
            "group": "service:shop",
        });
        let fields = more.as_object().unwrap().clone();
        task.as_object_mut().unwrap().extend(fields);
        task
    };
    let container = json!({ "name": "shop", "imageDigest": DIGEST });
    let running = task("1", json!({ "lastStatus": "RUNNING", "containers": [container] }));
    let exited = task(
        "2",
        json!({
            "lastStatus": "STOPPED", "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited", "stoppedAt": 1_795_251_500.0,
            "containers": [{ "name": "shop", "exitCode": 137 }],
        }),
    );
    let pulled = task(
        "3",
        json!({
            "lastStatus": "STOPPED", "stopCode": "TaskFailedToStart",
            "stoppedReason": "CannotPullContainerError: not found", "stoppedAt": 1_795_251_400.0,
        }),
    );
    let scaled = task(
        "4",
        json!({
            "lastStatus": "STOPPED", "stopCode": "ServiceSchedulerInitiated",
            "stoppedReason": "Scaling activity initiated by (deployment ecs-svc/1)",
            "stoppedAt": 1_795_251_400.0,
        }),
    );
    let tasks = [running, exited, pulled, scaled];
    let arns: Vec<_> = tasks.iter().map(|task| task["taskArn"].clone()).collect();
    fake.on("ecs:ListTasks", [Reply::Json(json!({ "taskArns": arns })), Reply::Json(json!({}))]);
    fake.on("ecs:DescribeTasks", [Reply::Json(json!({ "tasks": tasks }))]);
    let events = json!([
        { "createdAt": 1_795_251_590.0, "message": "(service shop) was unable to place a task because ..." },
        { "createdAt": 1_795_251_000.0, "message": "(service shop) has reached a steady state." },
    ]);
    let with_events = with(service("shop"), "events", events);
    fake.on("ecs:DescribeServices", [Reply::Json(json!({ "services": [with_events] }))]);
    let seen = look(&fake, &[]).await;
    assert_eq!(seen.gaps, []);
    let sight = &seen.value.services[&"shop".into()];
    let definition = TaskDefinitionArn::from(DEFINITION);
    assert_eq!(sight.running[&definition]["shop"], [DIGEST.into()].into());
    let causes: Vec<_> = sight.failures.iter().map(|failure| failure.cause.to_string()).collect();
    assert_eq!(causes, ["CannotPullContainerError: not found", "shop exited with code 137"]);
    let (_, words) = sight.unplaced.clone().unwrap();
    assert!(words.contains("unable to place a task"));
}

#[tokio::test(start_paused = true)]
async fn a_place_found_after_all_is_no_lack_of_room() {
    let fake = Fake::new(small);
    let events = json!([
        { "createdAt": 1_795_251_590.0, "message": "(service shop) has reached a steady state." },
        { "createdAt": 1_795_251_000.0, "message": "(service shop) was unable to place a task ..." },
    ]);
    let with_events = with(service("shop"), "events", events);
    fake.on("ecs:DescribeServices", [Reply::Json(json!({ "services": [with_events] }))]);
    let seen = look(&fake, &[]).await;
    assert_eq!(seen.value.services[&"shop".into()].unplaced, None);
    assert!(!seen.value.services[&"shop".into()].containers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_release_nothing_of_it_is_asked() {
    let fake = Fake::new(small);
    let seen = fake.aws(&TestClock::new()).observe(&need()).await;
    assert_eq!(seen.releases.value, ReleaseSight::default());
    assert_eq!((fake.asked(IMAGES).len(), fake.asked("ecs:ListTasks").len()), (0, 0));
}
