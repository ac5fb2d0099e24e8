//! The image and the template that runs it agree with the program and with each other. Nothing is
//! built here: `tests/image/run` shows that the program lives in what the image gives it.

use std::fs;
use std::path::Path;

use expect_test::expect;

use super::commands::check;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The rest of the line that begins with this, wherever it is indented.
fn after<'a>(text: &'a str, start: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.trim_start().strip_prefix(start));
    found.unwrap_or_else(|| panic!("no line begins with `{start}`"))
}

#[test]
fn what_the_image_copies_exists_and_is_sent_to_the_build() {
    let (image, ignore) = (read("Dockerfile"), read(".dockerignore"));
    let copies = image.lines().filter_map(|line| line.strip_prefix("COPY "));
    let mut seen = 0;
    for copy in copies.filter(|copy| !copy.starts_with("--from")) {
        let words: Vec<_> = copy.split(' ').collect();
        let (_into, sources) = words.split_last().unwrap();
        for source in sources {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists(), "no {source}");
            assert!(ignore.lines().any(|line| line == format!("!{source}")), "{source} is ignored");
            seen += 1;
        }
    }
    assert_eq!(seen, ignore.lines().filter(|line| line.starts_with('!')).count());
}

#[test]
fn the_image_is_built_as_a_developer_builds_it() {
    let (image, make, manifest) = (read("Dockerfile"), read("Makefile"), read("Cargo.toml"));
    let command = after(&image, "cargo build").split(" && ").next().unwrap();
    assert_eq!(command, after(&make, "cargo build"));
    let version = after(&manifest, "rust-version = ").trim_matches('"');
    assert!(after(&image, "ARG BUILD=").starts_with(&format!("rust:{version}-")), "{version}");
}

#[test]
fn the_template_runs_what_the_image_holds() {
    let (image, template) = (read("Dockerfile"), read("cloudformation/tidegate.yaml"));
    let user = after(&image, "USER ");
    assert_eq!(after(&template, "User: "), format!("\"{user}\""));
    assert!(image.contains(&format!("--chown={user} /state")), "the state belongs to {user}");
    let state = after(&image, "ENV TIDEGATE_STATE=");
    assert_eq!(after(&image, "VOLUME "), state);
    assert!(template.contains(&format!("ContainerPath: {state} ")), "{state} is a volume");
    let program = after(&image, "ENTRYPOINT [").trim_matches(['"', ']']).to_owned();
    assert_eq!(after(&template, "Command: [CMD, "), format!("{program}, health]"));
}

/// The text that the template makes from its parameters, with every part it may have.
#[test]
fn the_configuration_that_the_template_makes_is_valid() {
    let template = read("cloudformation/tidegate.yaml");
    let block = |start: &str| {
        let from: Vec<_> = template.lines().skip_while(|line| line.trim() != start).collect();
        let indent = from[0].len() - start.len();
        let within = |line: &&&str| line.len() - line.trim_start().len() >= indent;
        from.iter().take_while(within).map(|line| line[indent..].to_owned() + "\n").collect()
    };
    let (mut text, access): (String, String) = (block("version: 1"), block("access:"));
    let balancer = "arn:aws:elasticloadbalancing:eu-west-1:222222222222:loadbalancer/app/ops/1";
    for (name, value) in [
        ("Access", access.as_str()),
        ("Services", "services: { tidegate: { evict: never } }"),
        ("Groups", "general }, { auto_scaling_group: spare"),
        ("LoadBalancer", balancer),
        ("OidcIssuer", "https://login.example.com"),
        ("OidcClientId", "tidegate"),
        ("OidcRoles", "everyone: viewer, on-call: operator"),
        ("Table", "tidegate-Journal-1"),
        ("ClusterName", "web"),
        ("Mode", "act"),
        ("Allow", "scale_out, repair"),
        ("Events", "https://sqs.eu-west-1.amazonaws.com/222222222222/tidegate-Events-1"),
        ("AWS::Region", "eu-west-1"),
    ] {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    assert!(!text.contains("${"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tidegate.yaml"), text).unwrap();
    check(
        dir.path(),
        &["config", "check"],
        expect![[r#"
        exit 0
        tidegate.yaml: valid, web
    "#]],
    );
}
