//! Every value in force, and where it comes from.

use std::fmt;

use serde::Serialize;

use super::lines::{Value, lines};
use super::{Config, Origins};

/// The effective configuration. Its text is YAML that loads to the same, origins as comments.
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
    fn of(&self, path: &str) -> Origin {
        match self.lines.get(path) {
            Some(line) => Origin::File {
                file: self.file.clone(),
                line: *line,
            },
            None => Origin::Default,
        }
    }
}

/// All settings of all clusters with their origins.
pub fn show(config: &Config) -> Shown {
    let version = config.origins.of("version");
    let mut shown = Shown {
        settings: Vec::new(),
        lines: vec![
            ("version: 1".to_owned(), Some(version)),
            ("clusters:".to_owned(), None),
        ],
    };
    for (index, cluster) in config.clusters.iter().enumerate() {
        for (place, line) in lines(cluster).into_iter().enumerate() {
            let path = format!("clusters[{index}].{}", line.path);
            let origin = config.origins.of(&path);
            let indent = if place == 0 { "  - " } else { "    " };
            let text = format!("{indent}{line}");
            match line.value {
                Some(value) => {
                    shown.lines.push((text, Some(origin.clone())));
                    shown.settings.push(Setting {
                        path,
                        value,
                        origin,
                    });
                }
                None => shown.lines.push((text, None)),
            }
        }
    }
    shown
}

impl Shown {
    /// The YAML alone, without origins.
    pub fn yaml(&self) -> String {
        let line = |(text, _): &(String, Option<Origin>)| format!("{text}\n");
        self.lines.iter().map(line).collect()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self
            .lines
            .iter()
            .map(|(text, _)| text.chars().count())
            .max();
        let width = widest.unwrap_or(0).min(72);
        for (text, origin) in &self.lines {
            match origin {
                Some(origin) => writeln!(f, "{text:width$}  # {origin}")?,
                None => writeln!(f, "{text}")?,
            }
        }
        Ok(())
    }
}
