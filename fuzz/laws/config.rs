//! The text of a configuration file: read, or refused with a place in it and a remedy.

use tidegate::config::{Config, ConfigErrors, load, render, show};

const FILE: &str = "tidegate.yaml";

pub(super) fn law(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    match load(text, FILE) {
        Ok(config) => comes_back(&config),
        Err(errors) => points_into(text, &errors),
    }
}

/// Whatever way it is printed, it loads to the same.
fn comes_back(config: &Config) {
    for cluster in &config.clusters {
        let again = again(&render(cluster));
        assert_eq!(again.clusters.as_slice(), std::slice::from_ref(cluster));
    }
    for origins in [true, false] {
        let again = again(&show(config).text(origins));
        assert_eq!(again.clusters, config.clusters);
        assert_eq!(again.alb_oidc, config.alb_oidc);
        assert_eq!(again.notify, config.notify);
        assert_eq!(again.journal, config.journal);
    }
}

fn again(text: &str) -> Config {
    load(text, FILE)
        .unwrap_or_else(|errors| panic!("what was printed is refused: {errors}\n{text}"))
}

fn points_into(text: &str, errors: &ConfigErrors) {
    assert!(!errors.errors().is_empty(), "refused for no reason");
    for error in errors.errors() {
        let place = (error.line as usize, error.column as usize);
        let line = text.lines().nth(place.0.saturating_sub(1)).unwrap_or_default();
        assert!((1..=text.lines().count().max(1)).contains(&place.0), "{error}");
        assert!((1..=line.chars().count() + 1).contains(&place.1), "{error}");
        assert!(!error.message.is_empty() && !error.remedy.is_empty(), "{error}");
    }
    let controls = |sign: char| sign.is_control() && sign != '\n';
    assert!(!errors.to_string().contains(controls), "a terminal can be controlled by {errors:?}");
}
