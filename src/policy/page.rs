//! The table as a page for people.

use std::fmt::Write;

use super::never::NEVER;
use super::table::{Asked, Grant, Permission, grants};

/// `docs/permissions.md`, from its first table to its end.
pub fn page() -> String {
    let rows: Vec<(&Grant, &Permission)> = grants()
        .flat_map(|grant| grant.actions.iter().map(move |action| (grant, action)))
        .collect();
    let (reads, writes): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(_, action)| action.writes.is_empty());
    let mut text = String::from(
        "## What is written\n\n| Attribute | Permission | Document | Statement | Why |\n\
         |---|---|---|---|---|\n",
    );
    // Writing to a string cannot fail.
    for (grant, action) in writes {
        let (what, why) = (action.writes, action.why);
        let (of, sid, parts) = (asked(action), grant.sid, parts(action));
        let _written = writeln!(text, "| {what} | {of} | {parts} | `{sid}` | {why} |");
    }
    text += "\n## What is read\n\n| Permission | Document | Statement | Why |\n|---|---|---|---|\n";
    for (grant, action) in reads {
        let (of, sid, parts, why) = (asked(action), grant.sid, parts(action), action.why);
        let _written = writeln!(text, "| {of} | {parts} | `{sid}` | {why} |");
    }
    text += "\n## What is never done\n\n| Statement | Denied | Why |\n|---|---|---|\n";
    for never in NEVER {
        let actions: Vec<_> = never.actions.iter().map(|action| format!("`{action}`")).collect();
        let _written =
            writeln!(text, "| `{}` | {} | {} |", never.sid, actions.join(", "), never.why);
    }
    text
}

fn asked(permission: &Permission) -> String {
    match permission.asked {
        Asked::By(_) => format!("`{}`", permission.action),
        Asked::With(other) => format!("`{}`, asked for with `{other}`", permission.action),
    }
}

fn parts(permission: &Permission) -> String {
    let all = permission.parts.iter().map(|part| format!("[{part}](../policies/{part}.json)"));
    let all: Vec<_> = all.collect();
    if all.is_empty() { "only by export".to_owned() } else { all.join(", ") }
}
