//! Who may come in, as lines.

use super::{Line, Lines, quoted, text};
use crate::config::AlbOidc;

/// All settings of it, from the top of the file.
pub(in crate::config) fn access(oidc: &AlbOidc) -> Vec<Line> {
    let mut lines = Lines(Vec::new());
    lines.push("", "access".to_owned(), None, false);
    let base = "access.alb_oidc";
    lines.push("  ", base.to_owned(), None, false);
    for (key, value) in [
        ("alb_arn", &oidc.alb_arn),
        ("issuer", &oidc.issuer),
        ("client_id", &oidc.client_id),
        ("claim", &oidc.claim),
    ] {
        let default = key == "claim" && value == AlbOidc::CLAIM;
        lines.push("    ", format!("{base}.{key}"), Some(text(value)), default);
    }
    lines.push("    ", format!("{base}.roles"), None, false);
    for (group, role) in &oidc.roles {
        lines.push("      ", format!("{base}.roles.{group}"), Some(text(role)), false);
        if let Some(line) = lines.0.last_mut() {
            line.key = quoted(group);
        }
    }
    lines.0
}
