//! Releases through ECS's own deployment, with images in the local AWS's registry.

use aws_sdk_ecs::types::{ContainerDefinition, LaunchType, Tag};

use crate::aws::{REGION, World};
use crate::footing::config;
use crate::harness::acting;

const GROUP: &str = "auto_scaling_group: g";

/// A manifest of its own, and so a digest of its own, for each tag.
async fn push(world: &World, tag: &str) -> String {
    let ecr = aws_sdk_ecr::Client::new(&world.sdk);
    // It may exist from the tag before.
    let _made = ecr.create_repository().repository_name("web").send().await;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"digest":"{tag}"}}}}"#
    );
    let put = ecr.put_image().repository_name("web").image_tag(tag).image_manifest(manifest);
    let image = put.send().await.expect("PutImage").image.expect("it");
    image.image_id.and_then(|id| id.image_digest).expect("its digest")
}

fn repository(world: &World) -> String {
    format!("{}.dkr.ecr.{REGION}.amazonaws.com/web", world.account)
}

/// `web` with two tasks of an image by its digest, whose definition has a role and a tag.
async fn service(world: &World, digest: &str) {
    let container = ContainerDefinition::builder().name("web").cpu(256).memory(256);
    let container = container.image(format!("{}@{digest}", repository(world))).essential(true);
    let made = world.ecs.register_task_definition().family("web");
    let made = made.task_role_arn(format!("arn:aws:iam::{}:role/task", world.account));
    let made = made.tags(Tag::builder().key("team").value("shop").build());
    made.container_definitions(container.build()).send().await.expect("RegisterTaskDefinition");
    let made = world.ecs.create_service().cluster("c").service_name("web").task_definition("web");
    let made = made.desired_count(2).launch_type(LaunchType::Ec2);
    made.send().await.expect("CreateService");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_brought_out_by_its_digest_and_one_that_does_not_exist_is_refused() {
    let world = World::new().await;
    world.cluster_with_group().await;
    let first = push(&world, "1").await;
    let second = push(&world, "2").await;
    service(&world, &first).await;
    let config = config(&world, "c", &[GROUP], "allow: [scale_out, services]");
    let tidegate = acting(&world, "c", &config).await;
    world.steady("web").await;
    let release = async |tag: &str| {
        let image = format!("{}:{tag}", repository(&world));
        let order = ["release", "web", &image, "--cluster", "c", "--reason", "a test", "--watch"];
        tidegate.run(&order).await
    };

    let before = world.mark().await;
    let released = release("2").await;
    assert!(released.status.success(), "{}", String::from_utf8_lossy(&released.stderr));
    let service = world.steady("web").await;
    let definition = service.task_definition().expect("its definition");
    assert!(definition.ends_with("/web:2"), "{definition}");
    let told = world.ecs.describe_task_definition().task_definition(definition).send().await;
    let told = told.expect("DescribeTaskDefinition").task_definition.expect("it");
    let wanted = format!("{}@{second}", repository(&world));
    assert_eq!(told.container_definitions()[0].image(), Some(wanted.as_str()));
    assert_eq!(world.sent("RegisterTaskDefinition", before).await.len(), 1);
    assert_eq!(world.sent("UpdateService", before).await.len(), 1);

    let before = world.mark().await;
    let refused = release("none").await;
    assert!(!refused.status.success(), "{}", String::from_utf8_lossy(&refused.stdout));
    assert_eq!(world.sent("RegisterTaskDefinition", before).await.len(), 0);
    assert_eq!(world.steady("web").await.task_definition(), Some(definition));
}
