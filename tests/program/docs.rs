//! The documentation keeps up with the program, and with itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use strum::VariantNames;
use tidegate::config;
use tidegate::model::Reason;

use crate::guides::{Page, page, pages};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_hold_is_explained_to_operators() {
    let page = include_str!("../../docs/scaling.md");
    let missing: Vec<_> =
        Reason::VARIANTS.iter().filter(|code| !page.contains(&format!("| `{code}` |"))).collect();
    assert!(missing.is_empty(), "docs/scaling.md does not explain {missing:?}");
}

/// Targets of links in a page, those to other sites left out.
fn links(page: &Page) -> Vec<String> {
    let prose = page.prose();
    let after = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    after.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// What a heading is called in a link, as GitHub does it.
fn anchor(heading: &str) -> String {
    let keep = |sign: char| match sign {
        ' ' => Some('-'),
        '-' | '_' => Some(sign),
        _ if sign.is_alphanumeric() => Some(sign),
        _ => None,
    };
    heading.trim().to_lowercase().chars().filter_map(keep).collect()
}

fn anchors(page: &Page) -> BTreeSet<String> {
    let headings = page.prose();
    let headings = headings.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|heading| anchor(heading.trim_start_matches('#'))).collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(plain.pop()),
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for from in pages() {
        for link in links(&from) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&from.name).parent().unwrap();
            let target =
                if file.is_empty() { from.name.clone().into() } else { plain(&folder.join(file)) };
            let exists = Path::new(ROOT).join(&target).exists();
            if !exists
                || !heading.is_empty()
                    && !anchors(&page(&target.to_string_lossy())).contains(heading)
            {
                wrong.push(format!("{}: {link}", from.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_is_in_the_index() {
    let index = page("docs/README.md");
    let listed: BTreeSet<_> = links(&index).into_iter().collect();
    let pages = pages().into_iter().map(|page| page.name);
    let pages = pages.filter_map(|name| name.strip_prefix("docs/").map(str::to_owned));
    let missing: Vec<_> =
        pages.filter(|name| name != "README.md" && !listed.contains(name)).collect();
    assert!(missing.is_empty(), "docs/README.md does not list {missing:?}");
}

/// A piece of a configuration belongs where its indentation says: to the file, or to a cluster.
#[test]
fn every_configuration_in_a_page_is_valid() {
    let cluster = "clusters:\n  - name: web\n    pools:\n      - auto_scaling_group: workers\n";
    let mut read = 0;
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.language == "yaml") {
            let text = if block.text.contains("version:") {
                block.text.clone()
            } else if block.text.starts_with(' ') {
                format!("version: 1\n{cluster}{}", block.text)
            } else {
                format!("version: 1\n{}{cluster}", block.text)
            };
            let at = format!("{}:{}", page.name, block.line);
            if let Err(errors) = config::load(&text, &at) {
                panic!("{errors}");
            }
            read += 1;
        }
    }
    assert!(read > 0);
}

/// Pages name them as `file::name`; without a folder of its own the file is one of `src`.
#[test]
fn every_function_and_test_that_is_named_exists() {
    let mut wrong = Vec::new();
    for page in pages() {
        let prose = page.prose();
        let codes = prose.split('`').skip(1).step_by(2);
        for (file, name) in codes.filter_map(|code| code.split_once(".rs::")) {
            let paths = ["", "src/"].map(|folder| format!("{ROOT}/{folder}{file}.rs"));
            let text = paths.iter().find_map(|path| std::fs::read_to_string(path).ok());
            let defines = |text: String| {
                [format!("fn {name}("), format!("fn {name}<")].iter().any(|it| text.contains(it))
            };
            if !text.is_some_and(defines) {
                wrong.push(format!("{}: {file}.rs::{name}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_failure_mode_names_the_test_that_shows_it() {
    let text = page("docs/failure-modes.md").text;
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Failure"));
    let without: Vec<_> = rows.filter(|row| !row.contains(".rs::")).collect();
    assert!(without.is_empty(), "{}", without.join("\n"));
}
