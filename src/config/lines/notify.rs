//! Who is told, as lines.

use super::{Line, Lines, text};
use crate::config::notify::{Receiver, Secret, Target};

/// All targets, from the top of the file.
pub(in crate::config) fn notify(targets: &[Target]) -> Vec<Line> {
    let mut lines = Lines(Vec::new());
    if !targets.is_empty() {
        lines.push("", "notify".to_owned(), None, false);
    }
    for (index, Target { name, to }) in targets.iter().enumerate() {
        let default = name == to.kind();
        lines.push("  - ", format!("notify[{index}].name"), Some(text(name)), default);
        let base = format!("notify[{index}].{}", to.kind());
        let shown = match to {
            Receiver::Sns { topic } => Some(text(topic)),
            Receiver::Webhook { .. } | Receiver::Slack { .. } => None,
        };
        lines.push("    ", base.clone(), shown, false);
        let at = match to {
            Receiver::Webhook { url, secret } => {
                lines.push("      ", format!("{base}.url"), Some(text(url)), false);
                ("secret", secret)
            }
            Receiver::Slack { url } => ("url", url),
            Receiver::Sns { .. } => continue,
        };
        let base = format!("{base}.{}", at.0);
        lines.push("      ", base.clone(), None, false);
        let (key, place) = match at.1 {
            Secret::Env(name) => ("env", name),
            Secret::File(path) => ("file", path),
        };
        lines.push("        ", format!("{base}.{key}"), Some(text(place)), false);
    }
    lines.0
}
