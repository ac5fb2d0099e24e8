//! Where the journals of all clusters are kept.

use chrono::TimeDelta;

use super::lines::Value;
use super::scalar::Period;

/// Where journals are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JournalConfig {
    /// A file for each cluster, under the directory given with `--state`.
    #[default]
    Sqlite,
    DynamoDb(TableConfig),
}

/// A DynamoDB table that replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableConfig {
    pub table: String,
    /// `None`: the one of the environment or profile.
    pub region: Option<String>,
    /// How long a replica leads after it was last heard of.
    pub lease: TimeDelta,
}

impl TableConfig {
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), region: None, lease: TimeDelta::seconds(15) }
    }
}

impl JournalConfig {
    /// The lines of the file: indentation, path, and the value or nothing for a key with lines
    /// below it.
    pub(super) fn lines(&self) -> Vec<(&'static str, &'static str, Option<Value>)> {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let Self::DynamoDb(TableConfig { table, region, lease }) = self else {
            return vec![("", "journal", text("sqlite"))];
        };
        let region = region.as_ref().map_or(Some(Value::Unset), |region| text(region));
        vec![
            ("", "journal", None),
            ("  ", "journal.dynamodb", None),
            ("    ", "journal.dynamodb.table", text(table)),
            ("    ", "journal.dynamodb.region", region),
            ("    ", "journal.dynamodb.lease", Some(Value::Text(Period::text(*lease)))),
        ]
    }
}
