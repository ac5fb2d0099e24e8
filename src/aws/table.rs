//! The port to a table on DynamoDB.
//!
//! Rule: the SDK repeats no write; who writes decides whether the same is sent again. Keys are the
//! text attributes `pk` and `sk`.

use std::error::Error;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::clients::{self, ConnectError, write_limits};
use super::failure::never_left;
use crate::journal::table::{Condition, Field, Item, Key, Page, Table, TableError, Write};

/// A write, and an attempt of a read, is given up after this: a few fit into the shortest lease.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// The first call may have to find credentials and a connection.
const READ_ATTEMPTS: u32 = 3;

/// An item as the SDK has it.
#[expect(clippy::disallowed_types, reason = "the SDK's own; its order is never looked at")]
type Attributes = std::collections::HashMap<String, AttributeValue>;

/// A DynamoDB table with the keys `pk` and `sk`.
#[derive(Clone, Debug)]
pub struct AwsTable {
    dynamodb: Client,
    /// The SDK never repeats what it sends.
    transactions: Client,
    name: String,
}

impl AwsTable {
    /// The table of this name, with the process's own credentials. Makes no call.
    pub async fn connect(name: &str, region: Option<&str>) -> Result<Self, ConnectError> {
        let config = clients::load_own(&format!("table {name}"), region).await?;
        Ok(Self::with_config(&config, name))
    }

    /// The table of this name on a ready SDK configuration.
    pub fn with_config(config: &SdkConfig, name: &str) -> Self {
        let client = |retry, limits| {
            let config = aws_sdk_dynamodb::config::Builder::from(config);
            Client::from_conf(config.retry_config(retry).timeout_config(limits).build())
        };
        let limits = write_limits(CALL_LIMIT);
        let all = limits.clone().into_builder().operation_timeout(CALL_LIMIT * READ_ATTEMPTS);
        let retry = RetryConfig::standard().with_max_attempts(READ_ATTEMPTS);
        Self {
            dynamodb: client(retry.with_initial_backoff(Duration::from_millis(50)), all.build()),
            transactions: client(RetryConfig::disabled(), limits),
            name: name.to_owned(),
        }
    }

    fn part(&self, write: Write) -> Result<TransactWriteItem, BuildError> {
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        Ok(match write {
            Write::Put { item: new, only_if } => {
                let mut put = Put::builder().table_name(&self.name).set_item(Some(attributes(new)));
                if let Some(condition) = only_if {
                    let (text, value) = expression(&condition);
                    put = put
                        .condition_expression(text)
                        .return_values_on_condition_check_failure(old)
                        .set_expression_attribute_names(value.as_ref().map(|_| names(&condition)))
                        .set_expression_attribute_values(value);
                }
                item.put(put.build()?).build()
            }
            Write::Check { key, only_if } => {
                let (text, value) = expression(&only_if);
                let check = ConditionCheck::builder()
                    .table_name(&self.name)
                    .set_key(Some(keys(&key)))
                    .condition_expression(text)
                    .return_values_on_condition_check_failure(old)
                    .set_expression_attribute_names(value.as_ref().map(|_| names(&only_if)))
                    .set_expression_attribute_values(value);
                item.condition_check(check.build()?).build()
            }
            Write::Delete { key } => {
                let delete = Delete::builder().table_name(&self.name).set_key(Some(keys(&key)));
                item.delete(delete.build()?).build()
            }
        })
    }

    /// `permission` is what the call needs.
    fn failed<E>(&self, permission: &str, error: &SdkError<E, HttpResponse>) -> TableError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let text = DisplayErrorContext(error).to_string();
        let SdkError::ServiceError(answer) = error else {
            let surely_not = never_left(error) || matches!(error, SdkError::ConstructionFailure(_));
            return if surely_not { TableError::Failed(text) } else { TableError::NoAnswer(text) };
        };
        match answer.err().code().unwrap_or_default() {
            "ResourceNotFoundException" => TableError::Missing(self.name.clone()),
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded" => TableError::Busy(text),
            "AccessDeniedException" => {
                TableError::Failed(format!("{permission} is denied: {text}"))
            }
            "TransactionInProgressException" => TableError::NoAnswer(text),
            _ if answer.raw().status().as_u16() >= 500 => TableError::NoAnswer(text),
            _ => TableError::Failed(text),
        }
    }
}

impl Table for AwsTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError> {
        let get = self.dynamodb.get_item().table_name(&self.name).set_key(Some(keys(key)));
        let found = get.consistent_read(true).send().await;
        let found = found.map_err(|error| self.failed("dynamodb:GetItem", &error))?;
        Ok(found.item.and_then(item))
    }

    async fn page(&self, partition: &str, from: &str, to: &str) -> Result<Page, TableError> {
        let value = |text: &str| AttributeValue::S(text.to_owned());
        let query = self
            .dynamodb
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", value(partition))
            .expression_attribute_values(":from", value(from))
            .expression_attribute_values(":to", value(to));
        let found = query.send().await.map_err(|error| self.failed("dynamodb:Query", &error))?;
        let more = found.last_evaluated_key.is_some();
        let items: Vec<_> = found.items.unwrap_or_default().into_iter().filter_map(item).collect();
        Ok(Page { more: more && !items.is_empty(), items })
    }

    async fn write(&self, token: &str, writes: Vec<Write>) -> Result<(), TableError> {
        let parts: Result<Vec<_>, _> = writes.into_iter().map(|write| self.part(write)).collect();
        let parts = parts.map_err(|error| TableError::Failed(error.to_string()))?;
        let write = self.transactions.transact_write_items().set_transact_items(Some(parts));
        let Err(error) = write.client_request_token(token).send().await else {
            return Ok(());
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                Err(refused(cancelled.cancellation_reasons()))
            }
            _ => Err(self.failed("dynamodb:PutItem", &error)),
        }
    }
}

/// Why a transaction did not happen; there is a reason for each part, `None` for those at ease.
fn refused(reasons: &[CancellationReason]) -> TableError {
    let of = |code: &str| reasons.iter().find(|reason| reason.code() == Some(code));
    if let Some(reason) = of("ConditionalCheckFailed") {
        return TableError::Refused(reason.item.clone().and_then(item));
    }
    let text = format!("{reasons:?}");
    let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    if passing.into_iter().any(|code| of(code).is_some()) {
        TableError::Busy(text)
    } else {
        TableError::Failed(text)
    }
}

/// A condition's text and values; its field is `#field`, since many words are reserved.
fn expression(condition: &Condition) -> (&'static str, Option<Attributes>) {
    match condition {
        Condition::Absent => ("attribute_not_exists(pk)", None),
        Condition::Is { value, .. } => {
            let values = [(":value".to_owned(), attribute(value.clone()))];
            ("#field = :value", Some(values.into()))
        }
    }
}

#[expect(clippy::disallowed_types, reason = "the SDK's own; its order is never looked at")]
fn names(condition: &Condition) -> std::collections::HashMap<String, String> {
    match condition {
        Condition::Absent => [].into(),
        Condition::Is { field, .. } => [("#field".to_owned(), (*field).to_owned())].into(),
    }
}

fn keys(key: &Key) -> Attributes {
    let Key { partition, sort } = key.clone();
    [("pk".to_owned(), AttributeValue::S(partition)), ("sk".to_owned(), AttributeValue::S(sort))]
        .into()
}

fn attributes(item: Item) -> Attributes {
    let mut attributes = keys(&item.key);
    attributes.extend(item.fields.into_iter().map(|(name, field)| (name, attribute(field))));
    attributes
}

fn attribute(field: Field) -> AttributeValue {
    match field {
        Field::Text(text) => AttributeValue::S(text),
        Field::Number(number) => AttributeValue::N(number.to_string()),
        Field::Flag(flag) => AttributeValue::Bool(flag),
    }
}

/// `None` for an item without our keys. Fields of other types are left out, and then missed.
fn item(mut attributes: Attributes) -> Option<Item> {
    let mut text = |name| match attributes.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let key = Key { partition: text("pk")?, sort: text("sk")? };
    let fields = attributes.into_iter().filter_map(|(name, value)| {
        let field = match value {
            AttributeValue::S(text) => Field::Text(text),
            AttributeValue::N(number) => Field::Number(number.parse().ok()?),
            AttributeValue::Bool(flag) => Field::Flag(flag),
            _ => return None,
        };
        Some((name, field))
    });
    Some(Item { key, fields: fields.collect() })
}
