//! The rooms of the house: each uses only those below it, and none twice removed by a back door.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first; rooms of one line do not use each other.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["config"],
    &["decide", "cutover", "release", "policy"],
    &["handback", "doctor"],
    &["guard"],
    &["journal"],
    &["access"],
    &["cloud", "eventbridge"],
    &["control"],
    &["aws", "sim", "telemetry", "notify"],
    &["api", "dashboard"],
    &["cli"],
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Source files with the room each belongs to; tests beside the code may reach anywhere.
fn rooms() -> Vec<(PathBuf, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let product = files.into_iter().filter(|path| !path.to_string_lossy().contains("test"));
    let with_room = product.filter_map(|path| {
        let first = path.strip_prefix(&src).ok()?.components().next()?;
        let room = first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text).to_owned();
        (room != "lib" && room != "main").then_some((path, room, product))
    });
    with_room.collect()
}

#[test]
fn each_room_uses_only_the_rooms_below_it() {
    let rank: BTreeMap<_, _> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(rank, rooms)| rooms.iter().map(move |room| (*room, rank)))
        .collect();
    let mut wrong = Vec::new();
    for (path, room, text) in rooms() {
        let own = rank[room.as_str()];
        for used in text.split("crate::").skip(1) {
            let used: String =
                used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if let Some(rank) = rank.get(used.as_str())
                && used != room
                && *rank >= own
            {
                wrong.push(format!("{}: {room} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = rooms().into_iter().filter(|(_, _, text)| !text.starts_with("//! "));
    let silent: Vec<_> = silent.map(|(path, _, _)| path).collect();
    assert!(silent.is_empty(), "without a first line of documentation: {silent:?}");
}

#[test]
fn deciding_neither_waits_nor_reads_a_clock_nor_logs() {
    let pure = rooms().into_iter().filter(|(_, room, _)| {
        ["model", "config", "decide", "cutover", "release", "policy", "handback", "doctor", "guard"]
            .contains(&room.as_str())
    });
    for (path, _, text) in pure {
        for banned in ["async fn", "tokio::", "tracing::", "Utc::now", "Instant::now"] {
            assert!(!text.contains(banned), "{} has {banned}", path.display());
        }
    }
}
