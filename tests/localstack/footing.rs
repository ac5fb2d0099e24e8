//! What Tidegate itself stands on in an account: the table of its journal, and a queue that
//! EventBridge feeds with what happens to clusters, groups and instances; and its configuration,
//! which names them.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::aws::World;

pub const TABLE: &str = "tidegate";
/// The shortest that there is.
pub const LEASE_SECONDS: f64 = 10.0;

/// A line for [`config`] of a story about one process with a journal of its own.
pub const SQLITE: &str = "journal: sqlite";

/// Makes both in an account that has neither.
pub async fn lay(world: &World) {
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let table = json!({
        "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [text("pk"), text("sk")],
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
    });
    // A process that is killed may take messages with it, which nobody gets before this is over.
    let queue = json!({ "QueueName": "tidegate", "Attributes": { "VisibilityTimeout": "5" } });
    let wanted = json!({ "source": ["aws.ecs", "aws.ec2", "aws.autoscaling"] });
    let rule = json!({ "Name": "tidegate", "EventPattern": wanted.to_string() });
    let target = json!({ "Id": "queue", "Arn": world.arn("sqs", "tidegate") });
    let targets = json!({ "Rule": "tidegate", "Targets": [target] });
    let feed = async {
        let made = world.json("sqs", "AmazonSQS.CreateQueue", &queue).await;
        assert_eq!(made["QueueUrl"], queue_url(world));
        world.json("events", "AWSEvents.PutRule", &rule).await;
        let put: Value = world.json("events", "AWSEvents.PutTargets", &targets).await;
        assert_eq!(put["FailedEntryCount"], 0);
    };
    tokio::join!(world.json("dynamodb", "DynamoDB_20120810.CreateTable", &table), feed);
}

pub fn queue_url(world: &World) -> String {
    let World { endpoint, account, .. } = world;
    format!("{endpoint}/queue/{}/{account}/tidegate", crate::aws::REGION)
}

/// Lets the lease of a process that is dead run out at once, if it still has it.
pub async fn end_lease(world: &World, cluster: &str, pid: u32) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let dynamodb = aws_sdk_dynamodb::Client::new(&world.sdk);
    let end = dynamodb.update_item().table_name(TABLE).key("pk", text(cluster));
    let end = end.key("sk", text("lease")).update_expression("SET released = :over");
    let end = end.condition_expression("contains(#owner, :pid)");
    let end = end.expression_attribute_names("#owner", "owner");
    let end = end.expression_attribute_values(":pid", text(&format!("/{pid}/")));
    let ended = end.expression_attribute_values(":over", AttributeValue::Bool(true)).send().await;
    if let Err(error) = ended {
        // Somebody else has it, or there is none.
        assert_eq!(error.code(), Some("ConditionalCheckFailedException"), "{error:?}");
    }
}

/// A configuration of one cluster in act with everything allowed, no headroom, ceilings of 100 %
/// and the shortest times, with its journal in the account's table and its ear at the queue.
/// `pools` are the items of the list; `more` are further keys of the cluster, written as in the
/// file but without indentation, which replace those given here, or [`SQLITE`].
pub fn config(world: &World, cluster: &str, pools: &[&str], more: &str) -> String {
    let queue = queue_url(world);
    let defaults = [
        ("mode", "act"),
        ("allow", "[scale_out, scale_in, repair, spot, consolidate]"),
        ("interval", "5s"),
        ("headroom", "[]"),
        ("scale_in", "{ stabilization: 5s, drain_deadline: 1m, host_age_min: 0s }"),
        ("queue", &queue),
    ];
    let mut text = "version: 1\n".to_owned();
    if !more.lines().any(|line| line == SQLITE) {
        text +=
            &format!("journal: {{ dynamodb: {{ table: {TABLE}, lease: {LEASE_SECONDS}s }} }}\n");
    }
    text += &format!("clusters:\n  - name: {cluster}\n");
    for (key, value) in defaults {
        if !more.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            text += &format!("    {key}: {value}\n");
        }
    }
    for line in more.lines().filter(|line| *line != SQLITE) {
        text += &format!("    {line}\n");
    }
    text += "    pools:\n";
    for pool in pools {
        text += &format!("      - {{ {pool} }}\n");
    }
    text
}
