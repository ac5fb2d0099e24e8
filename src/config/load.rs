//! From the text of a file to a valid configuration.

use std::collections::BTreeMap;

use super::error::{ConfigErrors, Place, Problems};
use super::node::{Node, Value};
use super::raw::RawConfig;
use super::read::{Read, join};
use super::{Config, node, resolve};

/// Where the values of a configuration are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    pub(super) file: String,
    /// By path: `clusters[0].scale_in.drain_deadline`.
    pub(super) lines: BTreeMap<String, u32>,
}

/// Reads the text of a configuration; `file` is what it is called in errors and origins.
///
/// # Errors
/// All problems that can be told apart: one bad value does not hide the next.
pub fn load(text: &str, file: &str) -> Result<Config, ConfigErrors> {
    let mut problems = Problems::default();
    let root = node::parse(text, &mut problems);
    let read = root.as_ref().map(|root| read(root, &mut problems)).unwrap_or_default();
    problems.into_result(text, file)?;
    let mut origins = Origins { file: file.to_owned(), lines: BTreeMap::new() };
    if let Some(root) = &root {
        origins.add(root, "");
    }
    Ok(Config { origins, ..read })
}

fn read(root: &Node, problems: &mut Problems) -> Config {
    if matches!(root.value, Value::Null) {
        let remedy = "begin with `version: 1`; `tidegate config init` prints a whole file";
        problems.add(Place::TOP, "", "the file is empty", remedy);
        return Config::default();
    }
    let Some(raw) = RawConfig::read(root, "", problems) else { return Config::default() };
    Config {
        journal: resolve::journal(raw.journal.as_ref(), problems),
        clusters: resolve::clusters(&raw, problems),
        alb_oidc: resolve::alb_oidc(&raw, problems),
        notify: resolve::targets(&raw, problems),
        origins: Origins::default(),
    }
}

impl Origins {
    fn add(&mut self, node: &Node, path: &str) {
        match &node.value {
            Value::Map(entries) => {
                for (key, value) in entries {
                    let path = join(path, &key.name);
                    self.lines.insert(path.clone(), key.place.line);
                    self.add(value, &path);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.lines.insert(path.clone(), item.place.line);
                    self.add(item, &path);
                }
            }
            Value::Null
            | Value::Flag(_)
            | Value::Whole(_)
            | Value::Fraction(_)
            | Value::Text(_) => {}
        }
    }
}
