//! `tidegate export iam` as people meet it: a policy for exactly what may be done.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::{expect, expect_file};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/exported")
}

fn export(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let command = command.args(["export", "iam"]).args(arguments);
    command.current_dir(folder()).env_clear().output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = export(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Sid and resources of every statement.
fn statements(policy: &str) -> Vec<(String, Value)> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    let all = policy["Statement"].as_array().unwrap().iter();
    let of = |it: &Value| (it["Sid"].as_str().unwrap().to_owned(), it["Resource"].clone());
    all.map(of).collect()
}

const CONFIG: [&str; 4] = ["--config", "tidegate.yaml", "--account", "111122223333"];

#[test]
fn each_form_of_the_policy_is_what_it_was() {
    let table: [(&str, &[&str]); 4] = [
        ("config.json", &[]),
        (
            "scope.json",
            &["--cluster", "other", "--pass-role", "arn:aws:iam::222222222222:role/web"],
        ),
        ("config.cloudformation.yaml", &["--format", "cloudformation"]),
        ("config.tf", &["--format", "terraform"]),
    ];
    for (file, more) in table {
        let text = printed(&[&CONFIG[..], more].concat());
        expect_file![folder().join(file)].assert_eq(&text);
    }
}

#[test]
fn what_a_configuration_names_is_meant_by_its_arn() {
    let all = statements(&printed(&CONFIG));
    let of = |sid: &str| all.iter().find(|(found, _)| found == sid).map(|(_, on)| on.to_string());
    let group =
        "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName";
    // The cluster that is only watched gives no group to write to.
    assert_eq!(of("SizeGroups").unwrap(), format!("[\"{group}/shop-mixed\"]"));
    let group = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/posts/*";
    assert_eq!(of("WriteDeclaredTargetGroups").unwrap(), format!("[\"{group}\"]"));
    // That of another role is that role's to write to.
    assert_eq!(of("EnterScopes").unwrap(), "[\"arn:aws:iam::222222222222:role/tidegate\"]");
    assert!(of("PassRoles").is_none() && of("LookAtImages").is_none());
}

#[test]
fn the_mode_and_the_kinds_decide_what_may_be_written() {
    let sids = |arguments: &[&str]| -> Vec<String> {
        let all = statements(&printed(arguments));
        let all = all.into_iter().map(|(sid, _)| sid);
        let of_all = ["Look", "Never", "HearOfChanges", "KeepJournals", "Read", "TellPeople"];
        all.filter(|sid| !of_all.iter().any(|start| sid.starts_with(start))).collect()
    };
    let table: [(&[&str], &[&str]); 7] = [
        (&[], &[]),
        (&["--mode", "observe"], &[]),
        (&["--mode", "recommend"], &[]),
        (&["--mode", "act"], &["SizeGroups", "SizeFleets"]),
        (&["--allow", "scale_out"], &["SizeGroups", "SizeFleets"]),
        (&["--handover"], &["SizeGroups", "ProtectNewHosts", "SizeFleets"]),
        (&["--config", "tidegate.yaml", "--mode", "observe"], &["EnterScopes"]),
    ];
    for (arguments, expected) in table {
        assert_eq!(sids(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn what_makes_no_sense_is_told_with_a_remedy() {
    let told = |arguments: &[&str]| {
        let output = export(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        format!("{}: {stderr}", output.status.code().unwrap())
    };
    expect![[r#"
        64: tidegate: a handover cannot be allowed once for all
          `--handover` adds what ordering one needs
    "#]]
    .assert_eq(&told(&["--allow", "handover"]));
    expect![[r#"
        64: tidegate: the file has no cluster shops
          it has shop, back, other
    "#]]
    .assert_eq(&told(&["--config", "tidegate.yaml", "--cluster", "shops"]));
    expect![[r#"
        0: services whose tasks have roles are released with `--pass-role ARN` for each
    "#]]
    .assert_eq(&told(&["--allow", "services"]));
}
