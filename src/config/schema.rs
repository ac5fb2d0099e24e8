//! The JSON Schema of the configuration, for editors.
//!
//! Rule: derived from the settings as they may be written and from their defaults, never by hand.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value as Json;

use super::lines::{Line, Value, lines};
use super::raw::RawConfig;
use super::{ClusterConfig, CutoverConfig, JournalConfig, PoolConfig, TableConfig};
use crate::model::PoolId;

/// Where the schema of the one setting of a table stands that may be left out.
const LEASE: &str = "/properties/journal/oneOf/1/properties/dynamodb/properties/lease";

/// JSON Schema (draft 2020-12), pretty-printed.
pub fn schema() -> String {
    format!("{:#}", document())
}

/// The schema as data.
pub(super) fn document() -> Json {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut generator = settings.with_transform(RecursiveTransform(without_null)).into_generator();
    let mut document = generator.root_schema_for::<RawConfig>().to_value();
    // Only the defaults are taken from it; its pool and its cutover stand for any.
    let mut cluster = ClusterConfig::new("any", vec![PoolConfig::new(PoolId::group("any"))]);
    cluster.cutovers.push(CutoverConfig::new("any", "any", "any", Vec::new()));
    for line in lines(&cluster).into_iter().filter(is_default) {
        let (Some(value), Some(place)) = (line.value, document.pointer_mut(&pointer(&line.path)))
        else {
            continue;
        };
        if let (Json::Object(place), false) = (place, value == Value::Unset) {
            place.insert("default".to_owned(), serde_json::json!(value));
        }
    }
    let journals = JournalConfig::default()
        .lines()
        .into_iter()
        .chain(JournalConfig::DynamoDb(TableConfig::new("any")).lines());
    for (_, path, value) in journals {
        let place = match path {
            "journal" => "/properties/journal",
            "journal.dynamodb.lease" => LEASE,
            _ => continue,
        };
        if let (Some(Json::Object(place)), Some(value)) = (document.pointer_mut(place), value) {
            place.insert("default".to_owned(), serde_json::json!(value));
        }
    }
    document
}

/// Whether leaving the setting out says the same; a list's item cannot leave out what it is.
fn is_default(line: &Line) -> bool {
    line.default && !["headroom[0].tasks_like", "cutovers[0].routes"].contains(&line.path.as_str())
}

/// What the schema says about a setting of a cluster.
pub(super) fn description<'a>(document: &'a Json, path: &str) -> Option<&'a str> {
    document.pointer(&pointer(path))?.get("description")?.as_str()
}

/// Where the schema of a cluster's setting stands in the whole.
fn pointer(path: &str) -> String {
    let path = path.replace("[0]", "/items").replace('.', "/properties/");
    format!("/properties/clusters/items/properties/{path}")
}

/// A key may be left out, but not empty.
fn without_null(schema: &mut Schema) {
    if let Some(Json::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let null = serde_json::json!({ "type": "null" });
    if let Some(Json::Array(mut cases)) = schema.remove("anyOf") {
        cases.retain(|case| *case != null);
        for (key, value) in cases.iter().filter_map(Json::as_object).flatten() {
            // The setting's own description comes before its type's.
            if schema.get(key).is_none() {
                schema.insert(key.clone(), value.clone());
            }
        }
    }
}
