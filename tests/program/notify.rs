//! Whether notifications arrive, as people try it.

use std::path::Path;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use expect_test::expect;

use super::commands::check;

/// A receiver that takes what comes to `/good`; its address.
async fn receiver() -> String {
    let router = Router::new()
        .route("/good", post(async || StatusCode::OK))
        .route("/gone", post(async || StatusCode::GONE));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn configure(dir: &Path, targets: &str) {
    std::fs::write(dir.join("secret"), "a secret").unwrap();
    let cluster = "clusters:\n  - name: web\n    pools: [{ auto_scaling_group: workers }]\n";
    let yaml = format!("version: 1\nnotify: {targets}\n{cluster}");
    std::fs::write(dir.join("tidegate.yaml"), yaml).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_is_tried_once_and_said_how() {
    let dir = tempfile::tempdir().unwrap();
    let url = receiver().await;
    let hook = |name: &str, path: &str, secret: &str| {
        format!("{{ name: {name}, webhook: {{ url: \"{url}/{path}\", secret: {{ {secret} }} }} }}")
    };
    let good = hook("ops", "good", "file: secret");
    let gone = hook("old", "gone", "file: secret");
    let bare = hook("bare", "good", "env: NOBODY_SETS_THIS");
    configure(dir.path(), &format!("[{good}, {gone}, {bare}]"));
    check(
        dir.path(),
        &["notify", "test"],
        expect![[r#"
            exit 69
            ops              arrived
            old              not arrived: the receiver answered 410 Gone
            bare             not arrived: the environment has no variable NOBODY_SETS_THIS; set it where the server is started
        "#]],
    );
    check(
        dir.path(),
        &["notify", "test", "--target", "ops"],
        expect![[r#"
            exit 0
            ops              arrived
        "#]],
    );
    check(
        dir.path(),
        &["notify", "test", "--target", "chat"],
        expect![[r#"
            exit 64
            tidegate: the configuration has no target chat
              it has ops, old, bare
        "#]],
    );
    configure(dir.path(), "[]");
    check(
        dir.path(),
        &["notify", "test"],
        expect![[r#"
            exit 1
            tidegate: the configuration names nobody to tell
              add targets under `notify`: docs/config.md
        "#]],
    );
}
