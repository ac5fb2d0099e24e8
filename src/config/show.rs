//! Every value in force, and where it comes from.

use std::fmt;

use serde::Serialize;

use super::lines::{Value, access, lines as cluster_lines, notify};
use super::{Config, Origins};

/// The effective configuration.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Shown {
    pub settings: Vec<Setting>,
    #[serde(skip)]
    lines: Vec<(String, Option<Origin>)>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// `clusters[0].scale_in.drain_deadline`.
    pub path: String,
    pub value: Value,
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Origin {
    File { file: String, line: u32 },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Origins {
    /// The first of these paths that is written.
    fn of<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Origin {
        match paths.into_iter().find_map(|path| self.lines.get(path)) {
            Some(line) => Origin::File { file: self.file.clone(), line: *line },
            None => Origin::Default,
        }
    }
}

/// All settings of all clusters with their origins.
pub fn show(config: &Config) -> Shown {
    let version = config.origins.of(["version"]);
    let mut shown =
        Shown { settings: Vec::new(), lines: vec![("version: 1".to_owned(), Some(version))] };
    let access = config.alb_oidc.as_ref().map(access).unwrap_or_default();
    for line in access.into_iter().chain(notify(&config.notify)) {
        let origin = config.origins.of([line.path.as_str()]);
        shown.add(line.to_string(), line.path, line.value, origin);
    }
    for (indent, path, value) in config.journal.lines() {
        let key = path.rsplit('.').next().unwrap_or_default();
        let (path, origin) = (path.to_owned(), config.origins.of([path]));
        let text = match &value {
            None => format!("{indent}{key}:"),
            // A key without a value would be an error when read.
            Some(Value::Unset) => format!("{indent}# {key}: unset"),
            Some(value) => format!("{indent}{key}: {value}"),
        };
        shown.lines.push((text, value.is_some().then(|| origin.clone())));
        shown.settings.extend(value.map(|value| Setting { path, value, origin }));
    }
    shown.lines.push(("clusters:".to_owned(), None));
    for (index, cluster) in config.clusters.iter().enumerate() {
        for (place, line) in cluster_lines(cluster).into_iter().enumerate() {
            let of_cluster = |path: &String| format!("clusters[{index}].{path}");
            let path = of_cluster(&line.path);
            let elsewhere: Vec<String> = line.elsewhere.iter().map(of_cluster).collect();
            let paths = std::iter::once(&path).chain(&elsewhere);
            let origin = config.origins.of(paths.map(String::as_str));
            let indent = if place == 0 { "  - " } else { "    " };
            let text = format!("{indent}{line}");
            shown.add(text, path, line.value, origin);
        }
    }
    shown
}

impl Shown {
    /// A line; without a value it is a key with more lines below it.
    fn add(&mut self, text: String, path: String, value: Option<Value>, origin: Origin) {
        self.lines.push((text, value.is_some().then(|| origin.clone())));
        self.settings.extend(value.map(|value| Setting { path, value, origin }));
    }

    /// As YAML that loads to the same; with the origins as comments if they are wanted.
    pub fn text(&self, origins: bool) -> String {
        let widest = self.lines.iter().map(|(text, _)| text.chars().count());
        let width = widest.max().unwrap_or(0).min(72);
        let line = |(text, origin): &(String, Option<Origin>)| match origin {
            Some(origin) if origins => format!("{text:width$}  # {origin}\n"),
            _ => format!("{text}\n"),
        };
        self.lines.iter().map(line).collect()
    }
}
