//! From YAML nodes to values of the wanted type.
//!
//! Rule: a value that cannot be read is noted as a problem once, and reading goes on beside it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::error::{Place, Problems};
use super::node::{Key, Node, Value};
use super::suggest;

/// What can be read from a node. `None`: the problem was noted.
pub(super) trait Read: Sized {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self>;
}

/// A value and where it is written.
#[derive(Debug)]
pub(super) struct Written<T> {
    pub(super) place: Place,
    pub(super) path: String,
    /// `None`: what is written was refused.
    pub(super) value: Option<T>,
}

impl<T: Read> Written<T> {
    pub(super) fn read(node: &Node, path: String, problems: &mut Problems) -> Self {
        Self { place: node.place, value: T::read(node, &path, problems), path }
    }
}

impl<T> Written<T> {
    pub(super) fn refuse(
        &self,
        message: impl Into<String>,
        remedy: impl Into<String>,
        problems: &mut Problems,
    ) {
        problems.add(self.place, &self.path, message, remedy);
    }
}

/// For an editor it is the value.
impl<T: JsonSchema> JsonSchema for Written<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: Read> Read for Vec<Written<T>> {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let Value::List(items) = &node.value else {
            let remedy = match &node.value {
                Value::Null => "begin each item with `- ` on a line of its own, write `[]` for none or leave the key out".to_owned(),
                Value::Text(text) => format!("put it in brackets: `[{text}]`"),
                _ => "begin each item with `- ` on a line of its own".to_owned(),
            };
            problems.add(node.place, path, needs("a list", &node.value), remedy);
            return None;
        };
        let item = |(place, item)| Written::read(item, format!("{path}[{place}]"), problems);
        Some(items.iter().enumerate().map(item).collect())
    }
}

/// Values by names that the operator chose.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(Place, String, Written<T>)>);

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let remedy =
                "write one `NAME:` a line with its settings below it, or leave the key out";
            problems.add(node.place, path, needs("names", &node.value), remedy);
            return None;
        };
        let read = |(key, value): &(Key, Node)| {
            let path = format!("{path}.{}", key.name);
            (key.place, key.name.clone(), Written::read(value, path, problems))
        };
        Some(Self(entries.iter().map(read).collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

/// The entries of a table whose keys are known.
pub(super) struct Fields<'a> {
    path: &'a str,
    entries: &'a [(Key, Node)],
}

impl<'a> Fields<'a> {
    /// Notes unknown keys; `None`: it is no table at all.
    pub(super) fn of(
        node: &'a Node,
        path: &'a str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let remedy = format!("write one `KEY: VALUE` a line; known keys: {}", known.join(", "));
            problems.add(node.place, path, needs("settings", &node.value), remedy);
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                let guess = suggest::nearest(&key.name, known.iter().copied());
                let guess = guess.map(|name| format!("did you mean `{name}`? "));
                let remedy =
                    format!("{}known keys: {}", guess.unwrap_or_default(), known.join(", "));
                problems.add(key.place, path, format!("unknown key `{}`", key.name), remedy);
            }
        }
        Some(Self { path, entries })
    }

    pub(super) fn take<T: Read>(&self, name: &str, problems: &mut Problems) -> Option<Written<T>> {
        let (_, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some(Written::read(node, join(self.path, name), problems))
    }
}

/// The path of a key within a table.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Declares a table of settings: what may be written, all of it optional.
macro_rules! table {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        $(#[$about])*
        pub(in crate::config) struct $name {
            $(
                $(#[$field_about])*
                pub(in crate::config) $field: Option<$crate::config::read::Written<$type>>,
            )*
        }

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::node::Node,
                path: &str,
                problems: &mut $crate::config::error::Problems,
            ) -> Option<Self> {
                let known = [$(stringify!($field)),*];
                let fields = $crate::config::read::Fields::of(node, path, &known, problems)?;
                Some(Self { $($field: fields.take(stringify!($field), problems),)* })
            }
        }
    };
}
pub(super) use table;

/// Declares what is either one word or a table of settings.
macro_rules! word_or_table {
    ($($(#[$about:meta])* $name:ident: $word:literal, $table:ident;)*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub(in crate::config) enum $name {
            Word,
            Table(Box<$table>),
        }

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::node::Node,
                path: &str,
                problems: &mut $crate::config::error::Problems,
            ) -> Option<Self> {
                use $crate::config::node::Value;
                match &node.value {
                    Value::Text(text) if text == $word => Some(Self::Word),
                    Value::Map(_) => {
                        $table::read(node, path, problems).map(|table| Self::Table(Box::new(table)))
                    },
                    other => {
                        let wanted = concat!("`", $word, "` or settings");
                        let message = $crate::config::read::needs(wanted, other);
                        let remedy =
                            concat!("write `", $word, "`, or one `KEY: VALUE` a line below it");
                        problems.add(node.place, path, message, remedy);
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let table = $table::json_schema(generator);
                schemars::json_schema!({ "oneOf": [{ "const": $word }, table] })
            }
        }
    )*};
}
pub(super) use word_or_table;

/// `needs a list, not text`.
pub(super) fn needs(wanted: &str, found: &Value) -> String {
    let found = match found {
        Value::Null => return format!("is empty, needs {wanted}"),
        Value::Flag(_) => "true or false",
        Value::Whole(_) => "a number",
        Value::Fraction(_) => "a fraction",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a table of keys",
    };
    format!("needs {wanted}, not {found}")
}
