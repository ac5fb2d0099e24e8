//! One law, named by `TIDEGATE_LAW`, and the fuzzer that looks for bytes that break it.

#![no_main]

mod laws;

use std::sync::LazyLock;

static LAW: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("TIDEGATE_LAW").unwrap_or_default();
    let found = laws::ALL.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("TIDEGATE_LAW names no law: `{name}`")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| LAW(data));
