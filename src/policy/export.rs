//! Documents as part of templates: CloudFormation and Terraform.

use std::fmt::Write;

use serde_json::{Value, json};

use super::document::Document;
use super::scope::Part;

/// A template of CloudFormation with a managed policy for each document. What is not known is a
/// pseudo parameter, or a parameter.
pub fn cloudformation(documents: &[(Part, Document)]) -> String {
    let policies = documents.iter().map(|(part, document)| {
        let value = serde_json::to_value(document).expect("a document is plain data");
        let properties = json!({
            "Description": format!("What Tidegate needs to {}.", verb(*part)),
            "PolicyDocument": substituted(value),
        });
        let policy = json!({ "Type": "AWS::IAM::ManagedPolicy", "Properties": properties });
        (format!("Tidegate{part:?}"), policy)
    });
    let policies: serde_json::Map<String, Value> = policies.collect();
    let resources = Value::Object(policies);
    let text = resources.to_string();
    let mut template = json!({ "AWSTemplateFormatVersion": "2010-09-09", "Resources": resources });
    if text.contains("${Cluster}") {
        template["Parameters"]["Cluster"] = json!({ "Type": "String" });
    }
    serde_saphyr::to_string(&template).expect("a template is plain data")
}

/// Strings with placeholders as `Fn::Sub`, by the names CloudFormation has for them.
fn substituted(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains("${") => {
            let text = text
                .replace("${Partition}", "${AWS::Partition}")
                .replace("${Region}", "${AWS::Region}")
                .replace("${Account}", "${AWS::AccountId}");
            json!({ "Fn::Sub": text })
        }
        Value::Array(values) => values.into_iter().map(substituted).collect(),
        Value::Object(entries) => {
            Value::Object(entries.into_iter().map(|(key, of)| (key, substituted(of))).collect())
        }
        plain => plain,
    }
}

/// Resources of Terraform, a managed policy for each document. What is not known comes from data
/// sources of the AWS provider, or from a variable.
pub fn terraform(documents: &[(Part, Document)]) -> String {
    let mut text = String::new();
    for (part, document) in documents {
        let name = part.to_string().replace('-', "_");
        let json = document
            .json()
            .replace("${Partition}", "${data.aws_partition.current.partition}")
            .replace("${Region}", "${data.aws_region.current.region}")
            .replace("${Account}", "${data.aws_caller_identity.current.account_id}")
            .replace("${Cluster}", "${var.cluster}");
        let json = json.trim_end().replace('\n', "\n    ");
        let verb = verb(*part);
        // Writing to a string cannot fail.
        let _written = write!(
            text,
            "resource \"aws_iam_policy\" \"tidegate_{name}\" {{\n  \
             name        = \"tidegate-{part}\"\n  \
             description = \"What Tidegate needs to {verb}.\"\n  \
             policy      = <<-JSON\n    {json}\n  JSON\n}}\n\n"
        );
    }
    for source in ["partition", "region", "caller_identity"] {
        if text.contains(&format!("data.aws_{source}.")) {
            let _written = writeln!(text, "data \"aws_{source}\" \"current\" {{}}");
        }
    }
    if text.contains("var.cluster") {
        text += "\nvariable \"cluster\" {\n  type = string\n}\n";
    }
    text.trim_end().to_owned() + "\n"
}

fn verb(part: Part) -> &'static str {
    match part {
        Part::Observe => "look",
        Part::State => "keep its journals and hear of changes",
        Part::ScaleOut => "raise the size of pools",
        Part::RemoveHosts => "drain and end hosts",
        Part::Traffic => "move and keep traffic",
        Part::Release => "release images of services",
        Part::Handover => "take pools over from managed scaling",
    }
}
