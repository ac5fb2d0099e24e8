//! The documentation keeps up with the program.

use strum::VariantNames;
use tidegate::model::Reason;

#[test]
fn every_hold_is_explained_to_operators() {
    let page = include_str!("../../docs/scaling.md");
    let missing: Vec<_> =
        Reason::VARIANTS.iter().filter(|code| !page.contains(&format!("| `{code}` |"))).collect();
    assert!(missing.is_empty(), "docs/scaling.md does not explain {missing:?}");
}
