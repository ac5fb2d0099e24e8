use std::fs;
use std::path::PathBuf;

use expect_test::{expect, expect_file};

use super::*;

/// A cluster that is right up to here.
fn cluster(rest: &str) -> String {
    format!(
        "version: 1\nclusters:\n  - name: web\n    pools: [{{ auto_scaling_group: web }}]\n{rest}"
    )
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/config/golden")
}

/// Each `golden/NAME.yaml` is refused with the words of `golden/NAME.txt`.
#[test]
fn each_bad_file_is_explained() {
    let mut files: Vec<PathBuf> = fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() > 15, "{files:?}");
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let errors = load(&text, name).expect_err(name);
        expect_file![path.with_extension("txt")].assert_eq(&errors.to_string());
    }
}

#[test]
fn an_error_is_data() {
    let errors = load(&cluster("    interval: 15\n"), "t.yaml").unwrap_err();
    let json = serde_json::to_string_pretty(&errors).unwrap();
    expect![[r#"
        [
          {
            "file": "t.yaml",
            "line": 5,
            "column": 15,
            "path": "clusters[0].interval",
            "message": "15 has no unit",
            "remedy": "write `15m` for minutes, `15s` or `15h`"
          }
        ]"#]]
    .assert_eq(&json);
}

#[test]
fn names_too_long_for_a_tag_are_refused() {
    let listener = "arn:aws:elasticloadbalancing:eu-west-1:222222222222:listener/app/a/b/c";
    let long = "s".repeat(249);
    let text = cluster(&format!(
        "    services: {{ {long}: {{ load_balancing: {{ listener: '{listener}', port: 1 }} }} }}
    cutovers:
      - {{ name: all, listener: '{listener}', from: api, routes: [{{ to: {long}, paths: [/] }}] }}
"
    ));
    let errors = load(&text, "t.yaml").unwrap_err();
    let paths: Vec<&str> = errors.errors().iter().map(|error| error.path.as_str()).collect();
    let service = format!("clusters[0].services.{long}.load_balancing");
    let shown = service.chars().take(200).chain(['…']).collect::<String>();
    assert_eq!(paths, [shown.as_str(), "clusters[0].cutovers[0].routes[0].to"]);
}

#[test]
fn steps_in_a_word_are_those_of_the_route_then_of_the_cutover() {
    let text = cluster(
        "    cutovers:
      - name: all
        listener: arn:aws:elasticloadbalancing:eu-west-1:222222222222:listener/app/a/b/c
        from: api
        strategy: linear
        routes:
          - { to: users, paths: [/users] }
          - { to: posts, paths: [/posts], strategy: all_at_once }
          - { to: likes, paths: [/likes], steps_percent: [50, 100] }
",
    );
    let config = load(&text, "t.yaml").unwrap();
    let routes = &config.clusters[0].cutovers[0].routes;
    let steps: Vec<&[u32]> = routes.iter().map(|route| route.steps_percent.as_slice()).collect();
    assert_eq!(steps, [&[10, 20, 30, 40, 50, 60, 70, 80, 90, 100][..], &[100], &[50, 100]]);
}

#[test]
fn an_alias_and_a_merge_are_read() {
    let text = "version: 1
clusters:
  - name: one
    scale_in: &calm { drain_deadline: 30m }
    pools: [{ auto_scaling_group: a }]
  - name: two
    scale_in: { <<: *calm, stabilization: 10m }
    pools: [{ auto_scaling_group: b }]
";
    let config = load(text, "t.yaml").unwrap();
    let scale_in = config.clusters[1].scale_in;
    assert_eq!(scale_in.drain_deadline, TimeDelta::minutes(30));
    assert_eq!(scale_in.stabilization, TimeDelta::minutes(10));
}

#[test]
fn what_is_left_out_has_the_defaults() {
    let config = load(&cluster(""), "t.yaml").unwrap();
    let pool = PoolConfig::new(PoolId::group("web"));
    assert_eq!(config.clusters, [ClusterConfig::new("web", vec![pool])]);
}

#[test]
fn the_example_loads_and_says_what_it_seems_to() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tidegate.example.yaml");
    let text = fs::read_to_string(path).unwrap();
    let config = load(&text, "e.yaml").unwrap_or_else(|errors| panic!("{errors}"));
    expect_file![golden().join("example-shown.txt")].assert_eq(&show(&config).text(true));
}

#[test]
fn a_found_cluster_gets_a_commented_file() {
    let mut found = ClusterConfig::new("web", vec![PoolConfig::new(PoolId::group("web-mixed"))]);
    found.region = Some("eu-west-1".to_owned());
    let service = ServiceConfig::default();
    found.services.insert("checkout".into(), service);
    expect_file![golden().join("found-cluster.txt")].assert_eq(&render(&found));
}

#[test]
fn shown_settings_are_data() {
    let text = cluster("    mode: act\n    budgets: { draining_hosts: 4 }\n");
    let settings = show(&load(&text, "t.yaml").unwrap()).settings;
    let asked = ["budgets.draining_hosts", "allow", "region"];
    let found = asked.map(|key| {
        let path = format!("clusters[0].{key}");
        let setting = settings.iter().find(|setting| setting.path == path);
        serde_json::to_string(setting.unwrap()).unwrap()
    });
    expect![[r#"
        {"path":"clusters[0].budgets.draining_hosts","value":4,"origin":{"from":"file","file":"t.yaml","line":6}}
        {"path":"clusters[0].allow","value":["scale_out"],"origin":{"from":"default"}}
        {"path":"clusters[0].region","value":null,"origin":{"from":"default"}}"#]].assert_eq(&found.join("\n"));
}

#[test]
fn journals_are_files_unless_a_table_is_named() {
    let top = |journal: &str| load(&format!("{journal}{}", cluster("")), "t.yaml");
    assert_eq!(top("").unwrap().journal, JournalConfig::Sqlite);
    assert_eq!(top("journal: sqlite\n").unwrap().journal, JournalConfig::Sqlite);
    let config = top("journal: { dynamodb: { table: tidegate } }\n").unwrap();
    let table = TableConfig::new("tidegate");
    assert_eq!(config.journal, JournalConfig::DynamoDb(table.clone()));
    let text = "journal:\n  dynamodb: { table: tidegate, region: eu-west-1, lease: 30s }\n";
    let config = top(text).unwrap();
    let region = Some("eu-west-1".to_owned());
    let lease = TimeDelta::seconds(30);
    assert_eq!(config.journal, JournalConfig::DynamoDb(TableConfig { region, lease, ..table }));
    let again = load(&show(&config).text(false), "u.yaml").unwrap();
    assert_eq!(again.journal, config.journal, "what is shown loads to the same");
}
