//! A configuration file to start from, for a cluster that was found in an account.
//!
//! Rule: what it prints loads to what it was given.

use std::fmt::Write;

use super::ClusterConfig;
use super::lines::{Line, lines};
use super::schema::{description, document};

const HEAD: &str = "\
# Tidegate: what it looks after and what it may do.
#   tidegate config check     is this file right?
#   tidegate config show      every value in force, and where it comes from
#   tidegate config schema    all keys, for editors
# A setting behind a `#` has its default; take the `#` away to change it.
version: 1
clusters:
";

/// A file with this one cluster: its settings, comments, and the defaults commented out.
pub fn render(cluster: &ClusterConfig) -> String {
    let document = document();
    let mut file = HEAD.to_owned();
    for line in lines(cluster) {
        // The item's dash takes the place of two spaces.
        if line.path == "name" {
            push(&mut file, &format!("  - {line}"));
            continue;
        }
        if leaves_out(cluster, &line) {
            continue;
        }
        if line.depth() == 0 {
            comment(&mut file, description(&document, &line.path).unwrap_or_default());
        }
        let always = matches!(line.path.as_str(), "mode" | "allow");
        if line.default && !always && !line.to_string().trim_start().starts_with('#') {
            push(&mut file, &format!("    #{line}"));
        } else {
            push(&mut file, &format!("    {line}"));
        }
    }
    file
}

fn push(file: &mut String, line: &str) {
    file.push_str(line);
    file.push('\n');
}

/// Lines that say nothing: defaults of single items, and what has no default and is not set.
fn leaves_out(cluster: &ClusterConfig, line: &Line) -> bool {
    let whole_list_is_default = line.path.starts_with("headroom")
        && cluster.headroom == ClusterConfig::new("", Vec::new()).headroom;
    let unset = matches!(
        line.path.as_str(),
        "region" | "role_arn" | "external_id" | "queue" | "stop_parameter"
    );
    line.default && ((line.in_item() && !whole_list_is_default) || unset)
}

/// What the schema says about a setting, as comments of at most 100 columns.
fn comment(file: &mut String, text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + word.len() > 90 {
            let _ = writeln!(file, "    #{line}");
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(file, "    #{line}");
    }
}
