//! Patterns that match more, less or other than their author had in mind.

use super::pattern::{Pattern, witness};
use super::scope::{Scope, example};
use super::{Finding, FindingKind, Line, Question, Severity};
use crate::model::Owner;

pub(super) fn findings(question: &Question<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    let of_others = lines.iter().filter(|l| l.rule.is_some_and(|r| r.owner == Owner::Other));
    let mut findings = Vec::new();
    for line in of_others {
        let paths = &line.scope.paths;
        let found = paths.iter().filter(|path| path.as_str() != "*").flat_map(|path| {
            let bare =
                misses_bare_path(path, paths).filter(|bare| goes_elsewhere(line, bare, lines));
            strange(question, path).into_iter().chain(bare.map(|bare| misses(path, &bare)))
        });
        findings.extend(found.map(|finding| finding.at(line)));
    }
    for moving in question.moves {
        let paths: Vec<_> = moving.paths.iter().map(|path| Pattern::new(path)).collect();
        for path in &paths {
            findings.extend(strange(question, path));
            findings.extend(misses_bare_path(path, &paths).map(|bare| misses(path, &bare)));
        }
    }
    findings
}

fn strange(question: &Question<'_>, path: &Pattern) -> Vec<Finding> {
    let found = [never_matches(path), too_wide(question, path), upper_case(path)];
    found.into_iter().flatten().collect()
}

fn never_matches(path: &Pattern) -> Option<Finding> {
    if path.overlap(&Pattern::new("/*")).is_some() {
        return None;
    }
    let explanation = format!("no request matches `{path}`: a path begins with `/`");
    let remedy = format!("write `/{path}`");
    let kind = FindingKind::NeverMatches;
    Some(Finding::new(kind, Severity::Misroutes, explanation, remedy).on(path))
}

/// `/api/posts*`, where `/api/posts` and `/api/posts/*` were meant.
fn too_wide(question: &Question<'_>, path: &Pattern) -> Option<Finding> {
    let stem = path.as_str().strip_suffix('*')?;
    if !stem.ends_with(|last: char| last.is_ascii_alphanumeric()) {
        return None;
    }
    let meant = [Pattern::new(stem), Pattern::new(&format!("{stem}/*"))];
    let [bare, below] = &meant;
    let caught = question.known_paths.iter().find(|known| {
        let known = Pattern::literal(known);
        path.covers(&known) && !meant.iter().any(|meant| meant.covers(&known))
    });
    let (severity, such) = match caught {
        Some(known) => (Severity::Misroutes, known.clone()),
        None => {
            let alike = Pattern::new(&format!("{stem}-old"));
            (Severity::Advice, witness(&[path, &alike], &[])?)
        }
    };
    let explanation = format!("`{path}` also matches `{such}`");
    let remedy = format!("use `{bare}` and `{below}`");
    Some(Finding::new(FindingKind::TooWide, severity, explanation, remedy).on(path))
}

/// `/api/posts` for `/api/posts/*` where nothing beside it matches that.
fn misses_bare_path(path: &Pattern, beside: &[Pattern]) -> Option<Pattern> {
    let bare = Pattern::new(path.as_str().strip_suffix("/*").filter(|stem| !stem.is_empty())?);
    let missed = !beside.iter().any(|other| other.covers(&bare));
    missed.then_some(bare)
}

fn misses(path: &Pattern, bare: &Pattern) -> Finding {
    let explanation = format!("`{path}` does not match `{bare}` itself");
    let remedy = format!("add `{bare}` beside it, if it is asked for");
    Finding::new(FindingKind::MissesBarePath, Severity::Advice, explanation, remedy).on(path)
}

/// Whether another action answers the bare path.
fn goes_elsewhere(line: &Line<'_>, bare: &Pattern, lines: &[Line<'_>]) -> bool {
    let asked = line.scope.with_path(bare);
    let mut above: Vec<&Scope> = Vec::new();
    for other in lines {
        let reached = example(&[&asked, &other.scope], &above);
        if reached.is_some() && other.image != line.image {
            return true;
        }
        above.push(&other.scope);
    }
    false
}

fn upper_case(path: &Pattern) -> Option<Finding> {
    let text = path.as_str();
    let lower = text.to_lowercase();
    if lower == text {
        return None;
    }
    let explanation = format!("case matters in paths: `{text}` does not match `{lower}`");
    let remedy = format!("make sure that nobody asks for `{lower}`, or add it beside");
    let kind = FindingKind::UpperCase;
    Some(Finding::new(kind, Severity::Advice, explanation, remedy).on(path))
}
