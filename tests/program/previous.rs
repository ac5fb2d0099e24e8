//! What the previous release reads and asks: the journal's records and the API, frozen as text.
//!
//! Rule: this build reads exactly what the previous one does, and what `later.txt` lists besides. No
//! story writes what is listed there, so the previous build can take over at any moment. The API only
//! grows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};
use tidegate::journal::Sqlite;
use tidegate::model::{Doubt, Record, RuleAction, Written};
use utoipa::{PartialSchema, ToSchema};

type Lines = BTreeSet<String>;
type Schemas = BTreeMap<String, Value>;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/previous").join(name)
}

/// The lines of a frozen text; comments are for people.
fn frozen(name: &str) -> Lines {
    let text = fs::read_to_string(file(name)).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// At a release the texts are written anew, and what was listed for later may be written from then on.
fn is_release() -> bool {
    std::env::var_os("TIDEGATE_TEST_RELEASE").is_some()
}

fn freeze(name: &str, lines: &Lines) {
    let comments = fs::read_to_string(file(name)).unwrap_or_default();
    let comments = comments.lines().filter(|line| line.starts_with('#'));
    let lines = comments.chain(lines.iter().map(String::as_str)).map(|line| format!("{line}\n"));
    fs::write(file(name), lines.collect::<String>()).unwrap();
}

/// Everything a journal holds.
fn records() -> Lines {
    let mut schemas = Vec::new();
    Record::schemas(&mut schemas);
    schemas.push((Record::name().into_owned(), Record::schema()));
    // What stands in place is not named.
    schemas.push((Doubt::name().into_owned(), Doubt::schema()));
    schemas.push((Written::name().into_owned(), Written::schema()));
    schemas.push((RuleAction::name().into_owned(), RuleAction::schema()));
    let json = |schema| serde_json::to_value(schema).unwrap();
    let schemas: Schemas = schemas.into_iter().map(|(name, schema)| (name, json(schema))).collect();
    let mut lines = described(&schemas);
    lines.insert(format!("the SQLite file: {}", sqlite_version()));
    lines
}

/// The version a new file is given; an older build refuses a newer one.
fn sqlite_version() -> i64 {
    let directory = tempfile::tempdir().unwrap();
    drop(Sqlite::open(directory.path(), &"c".into()).unwrap());
    let db = rusqlite::Connection::open(directory.path().join("c.journal")).unwrap();
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// One line for each word, variant and field.
fn described(schemas: &Schemas) -> Lines {
    let mut lines = Lines::new();
    for (name, schema) in schemas {
        describe(name, schema, &mut lines);
    }
    lines
}

fn describe(at: &str, schema: &Value, lines: &mut Lines) {
    if let Some(variants) = schema["oneOf"].as_array() {
        for variant in variants {
            describe_variant(at, variant, lines);
        }
    } else if let Some(parts) = schema["allOf"].as_array() {
        for part in parts {
            describe(at, part, lines);
        }
    } else if let Some(words) = schema["enum"].as_array() {
        lines.extend(words.iter().map(|word| format!("{at} = {word}")));
    } else if let Some(fields) = schema["properties"].as_object() {
        describe_fields(at, schema, fields, lines);
    } else {
        lines.insert(format!("{at}: {}", type_of(schema)));
    }
}

/// A variant is known by the one word that its tag may be.
fn describe_variant(at: &str, variant: &Value, lines: &mut Lines) {
    let parts = variant["allOf"].as_array().cloned().unwrap_or_else(|| vec![variant.clone()]);
    let fields = parts.iter().filter_map(|part| part["properties"].as_object()).flatten();
    let mut tag = fields.filter_map(|(name, of)| match of["enum"].as_array()?.as_slice() {
        [Value::String(word)] => Some(format!("{at} {name}={word}")),
        _ => None,
    });
    match tag.next_back() {
        Some(tag) => {
            lines.insert(tag.clone());
            parts.iter().for_each(|part| describe(&tag, part, lines));
        }
        None => describe(at, variant, lines),
    }
}

fn describe_fields(at: &str, schema: &Value, fields: &Map<String, Value>, lines: &mut Lines) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, of) in fields {
        if at.ends_with(&format!(" {name}={}", of["enum"][0].as_str().unwrap_or_default())) {
            continue;
        }
        let optional = if required.contains(&Value::from(name.as_str())) { "" } else { "?" };
        lines.insert(format!("{at}.{name}{optional}: {}", type_of(of)));
    }
}

fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(of) = schema["oneOf"].as_array().or_else(|| schema["allOf"].as_array()) {
        let mut of: Vec<_> = of.iter().map(type_of).collect();
        of.dedup();
        return of.join(" or ");
    }
    if let Some(items) = schema["prefixItems"].as_array() {
        let of = items.iter().map(|item| match item["type"].as_str() {
            Some("integer" | "array") => type_of(item),
            Some("string") if item["enum"].is_null() => type_of(item),
            _ => "one".to_owned(),
        });
        return format!("({})", of.collect::<Vec<_>>().join(", "));
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
    }
    let plain = match &schema["type"] {
        Value::Array(all) => {
            let all = all.iter().filter_map(Value::as_str);
            all.collect::<Vec<_>>().join(" or ")
        }
        one => one.as_str().unwrap_or("anything").to_owned(),
    };
    if schema["items"].is_object() {
        return format!("{plain} of {}", type_of(&schema["items"]));
    }
    if schema["additionalProperties"].is_object() {
        return format!("{plain} of {}", type_of(&schema["additionalProperties"]));
    }
    match schema["format"].as_str() {
        Some(format) => format!("{plain} {format}"),
        None => plain,
    }
}

fn listed(lines: impl Iterator<Item = impl AsRef<str>>) -> String {
    lines.map(|line| format!("  {}\n", line.as_ref())).collect()
}

#[test]
fn the_previous_release_reads_every_record_this_build_writes_and_this_one_reads_its() {
    let now = records();
    if is_release() {
        freeze("records.txt", &now);
        return freeze("later.txt", &Lines::new());
    }
    let (previous, later) = (frozen("records.txt"), frozen("later.txt"));
    let known: Lines = previous.union(&later).cloned().collect();
    let new = listed(now.difference(&known));
    assert!(
        new.is_empty(),
        "the previous release does not read:\n{new}read it only, write it one release later, and \
         list it in tests/previous/later.txt until then"
    );
    let gone = listed(known.difference(&now));
    assert!(gone.is_empty(), "this build no longer reads what the previous one writes:\n{gone}");
}

#[test]
fn what_the_previous_release_asks_of_the_api_is_answered() {
    let text = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let api: Value = serde_json::from_str(&fs::read_to_string(text).unwrap()).unwrap();
    let schemas: Schemas = serde_json::from_value(api["components"]["schemas"].clone()).unwrap();
    let mut now = described(&schemas);
    let mut asked = Lines::new();
    for (path, verbs) in api["paths"].as_object().unwrap() {
        for (verb, of) in verbs.as_object().unwrap() {
            let body = type_of(&of["requestBody"]["content"]["application/json"]["schema"]);
            let answer = type_of(&of["responses"]["200"]["content"]["application/json"]["schema"]);
            asked.insert(body.clone());
            now.insert(format!("{verb} {path}: {body}: {answer}"));
            for parameter in of["parameters"].as_array().into_iter().flatten() {
                let (name, of) = (&parameter["name"], type_of(&parameter["schema"]));
                let must = if parameter["required"] == true { "" } else { "?" };
                now.insert(format!("{verb} {path} {name}{must}: {of}"));
            }
        }
    }
    if is_release() {
        return freeze("api.txt", &now);
    }
    let previous = frozen("api.txt");
    let gone = listed(previous.difference(&now));
    assert!(gone.is_empty(), "the previous release asks for this, and gets it no more:\n{gone}");
    // A body of before lacks what is new.
    let is_body = |line: &&String| {
        let name = line.split('.').next().unwrap_or_default();
        let known = previous.iter().any(|line| line.starts_with(&format!("{name}.")));
        known && asked.contains(name) && line.contains('.') && !line.contains("?:")
    };
    let new = listed(now.difference(&previous).filter(is_body));
    assert!(new.is_empty(), "the previous release does not send:\n{new}");
}
