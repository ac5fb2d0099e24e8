//! Statements for all input, one for each parser that reads what somebody else wrote.
//!
//! Rule: a law takes any bytes and panics where the product breaks its word; it is the same for the
//! fuzzer, which looks for such bytes, and for the tests, which replay the corpus.

mod config;
mod events;
mod headers;
mod journal;
mod rules;
mod tokens;

/// Panics at bytes that break it.
type Law = fn(&[u8]);

/// Every law by the name of its corpus.
pub(super) const ALL: [(&str, Law); 6] = [
    ("config", config::law),
    ("tokens", tokens::law),
    ("headers", headers::law),
    ("journal", journal::law),
    ("events", events::law),
    ("rules", rules::law),
];

/// A fixed moment, in seconds after which records and requests are dated.
fn at(seconds: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap_or_default()
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// Whether JSON comes back to the last bit: numbers with a fraction are read to the last but one,
/// and what is nested without end is not read at all.
fn is_plain(value: &serde_json::Value, depth: u8) -> bool {
    use serde_json::Value;
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => depth > 0 && items.iter().all(|item| is_plain(item, depth - 1)),
        Value::Object(fields) => depth > 0 && fields.values().all(|item| is_plain(item, depth - 1)),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Deeper than anything that is written.
const DEPTH_MAX: u8 = 40;
