//! Tokens and the record of changes as administrators meet them.

use expect_test::expect;
use serde_json::Value;

use super::commands::{check, tidegate};
use super::cutover::{TOKEN, cutting, serve};

fn json(dir: &std::path::Path, arguments: &[&str]) -> Value {
    let output = tidegate(dir, &[arguments, &["--output", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Times and digests differ from run to run.
fn rows(json: &Value) -> String {
    let row = |row: &Value| {
        let names = ["actor", "method", "role", "action", "scope", "reason", "result", "detail"];
        let words: Vec<_> = names.iter().map(|name| row[name].as_str().unwrap_or("-")).collect();
        words.join(" ") + "\n"
    };
    json["rows"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn without_a_server_tokens_and_orders_go_into_the_record_of_the_state() {
    let dir = tempfile::tempdir().unwrap();
    check(
        dir.path(),
        &["token", "list"],
        expect![[r#"
        exit 0
        no token was handed out; `tidegate token create NAME --role ROLE` does
    "#]],
    );
    let create = ["token", "create", "ci", "--role", "releaser", "--expires", "30d"];
    let created = json(dir.path(), &create);
    let secret = created["token"].as_str().unwrap();
    assert!(secret.starts_with("tdg_") && secret.len() == 76, "{created}");
    check(
        dir.path(),
        &create,
        expect![[r#"
        exit 1
        tidegate: there is a token of the name `ci` already
          choose another name, or revoke that token first
    "#]],
    );
    let listed = json(dir.path(), &["token", "list"]);
    assert!(!listed.to_string().contains(secret));
    let ci = &listed["tokens"][0];
    assert_eq!(
        (&ci["name"], &ci["role"], &ci["good"]),
        (&"ci".into(), &"releaser".into(), &true.into())
    );
    check(
        dir.path(),
        &["token", "revoke", "ci", "--reason", "leaked"],
        expect![[r#"
        exit 0
        ci is revoked
    "#]],
    );
    check(
        dir.path(),
        &["token", "revoke", "cd"],
        expect![[r#"
        exit 1
        tidegate: there is no token `cd`
          `tidegate token list` shows the tokens there are
    "#]],
    );
    check(
        dir.path(),
        &["pause", "--cluster", "web", "--reason", "incident"],
        expect![[r#"
        exit 0
        web: paused; `tidegate resume --cluster web` ends it
    "#]],
    );
    let mode = ["mode", "set", "act", "--cluster", "web", "--reason", "week 3"];
    assert_eq!(tidegate(dir.path(), &mode).status.code(), Some(0));
    let audit = json(dir.path(), &["audit", "list"]);
    expect![[r#"
        ann state admin set_mode web week 3 done journal 2
        ann state admin set_mode web week 3 begun -
        ann state admin pause web incident done journal 1
        ann state admin pause web incident begun -
        ann state admin token_revoke tokens/ci leaked done -
        ann state admin token_create tokens/ci by command done -
    "#]]
    .assert_eq(&rows(&audit));
    let head = audit["head"]["digest"].as_str().unwrap();
    let verified = tidegate(dir.path(), &["audit", "verify"]);
    let told = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(told, format!("intact: 6 rows, the last one is {head}\n"));
}

#[test]
fn a_record_that_was_changed_stops_everything_but_stopping() {
    let dir = tempfile::tempdir().unwrap();
    for reason in ["one", "two"] {
        tidegate(dir.path(), &["pause", "--cluster", "web", "--reason", reason]);
    }
    let state = dir.path().join(".tidegate/access.record");
    let db = rusqlite::Connection::open(state).unwrap();
    db.execute("UPDATE rows SET text = replace(text, 'one', 'uno')", []).unwrap();
    drop(db);
    check(
        dir.path(),
        &["audit", "verify"],
        expect![[r#"
        exit 1
        not intact: row 1 of the record was changed
    "#]],
    );
    check(
        dir.path(),
        &["resume", "--cluster", "web"],
        expect![[r#"
            exit 1
            tidegate: row 1 of the record was changed
              somebody wrote to it: keep the file `access.record`, or the items `#access` of the table, for inspection and move them away; a new record begins, and no token that was handed out counts any more
        "#]],
    );
    check(
        dir.path(),
        &["pause", "--cluster", "web", "--reason", "three"],
        expect![[r#"
        exit 0
        web: paused; `tidegate resume --cluster web` ends it
        tidegate: not in the record of changes: row 1 of the record was changed
    "#]],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_orders_what_its_role_permits_through_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let url = serve(cutting()).await;
    let run = |arguments: &[&str], token: &str| {
        let at = ["--server", url.as_str(), "--token", token];
        let output = tidegate(dir.path(), &[arguments, &at].concat());
        let told = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(told).unwrap())
    };
    let (code, told) = run(&["token", "create", "ops", "--role", "operator"], TOKEN);
    assert_eq!(code, 0, "{told}");
    let ops = told.lines().next().unwrap();
    assert_eq!(run(&["pause", "--cluster", "web", "--reason", "incident"], ops).0, 0);
    let (code, told) = run(&["resume", "--cluster", "web"], ops);
    assert_eq!(code, 77);
    expect![[r#"
        tidegate: `ops` is operator here, and this needs releaser
          ask somebody who has that role; an admin can give it
    "#]]
    .assert_eq(&told);
    assert_eq!(run(&["token", "list"], ops).0, 77);
    let (_, told) = run(&["audit", "list", "--output", "json"], ops);
    expect![[r#"
        ops token operator GET /api/v1/tokens   refused needs admin
        ops token operator POST /api/v1/clusters/web/resume   refused needs releaser
        ops token operator pause web incident done journal 42
        ops token operator pause web incident begun -
        ann start_token admin token_create tokens/ops by command done -
    "#]]
    .assert_eq(&rows(&serde_json::from_str(&told).unwrap()));
    assert!(run(&["audit", "verify"], ops).1.starts_with("intact: 5 rows"));
    assert_eq!(run(&["token", "revoke", "ops"], TOKEN).0, 0);
    assert_eq!(run(&["status"], ops).0, 77);
}
