//! The settings of where journals are kept.

use crate::config::names::{Region, TableName};
use crate::config::read::{table, word_or_table};
use crate::config::scalar::Period;

word_or_table! {
    RawJournalOrSqlite: "sqlite", RawJournal;
}

table! {
    /// A table that several replicas share.
    RawJournal {
        /// A DynamoDB table.
        #[schemars(required)]
        dynamodb: RawDynamoDb,
    }
}

table! {
    /// A DynamoDB table with the text keys `pk` and `sk`.
    RawDynamoDb {
        /// The table's name.
        #[schemars(required)]
        table: TableName,
        /// AWS Region of the table. Left out: the one of the environment or profile.
        region: Region,
        /// How long a replica leads after it was last heard of; 10s to 2m.
        lease: Period,
    }
}
