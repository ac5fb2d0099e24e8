//! Every law over its corpus: what was found once stays found.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/laws/mod.rs"]
mod laws;

fn seeds(law: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(law);
    let mut seeds: Vec<_> = fs::read_dir(dir).unwrap().map(|seed| seed.unwrap().path()).collect();
    seeds.sort();
    seeds
}

#[track_caller]
fn holds(law: &str) {
    let (_, holds) = laws::ALL.into_iter().find(|(name, _)| *name == law).unwrap();
    let all = seeds(law);
    let breaks = |seed: &PathBuf| catch_unwind(|| holds(&fs::read(seed).unwrap())).is_err();
    let broken: Vec<_> = all.iter().filter(|seed| breaks(seed)).collect();
    assert!(!all.is_empty() && broken.is_empty(), "{broken:?}");
}

#[test]
fn config_keeps_its_law() {
    holds("config");
}

#[test]
fn tokens_keep_their_law() {
    holds("tokens");
}

#[test]
fn headers_keep_their_law() {
    holds("headers");
}

#[test]
fn journal_keeps_its_law() {
    holds("journal");
}

#[test]
fn events_keep_their_law() {
    holds("events");
}

#[test]
fn rules_keep_their_law() {
    holds("rules");
}

#[test]
fn a_corpus_is_small_enough_to_be_kept() {
    for (law, _) in laws::ALL {
        let bytes: u64 = seeds(law).iter().map(|seed| fs::metadata(seed).unwrap().len()).sum();
        assert!(bytes < 200_000, "{law} has {bytes} bytes: take seeds out that reach nothing new");
    }
}
