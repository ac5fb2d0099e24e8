//! A proxy before the endpoint that lets pass what an IAM policy allows and denies the rest, as AWS
//! would and the local AWS does not.
//!
//! Rule: the policy is what `tidegate export iam` prints for the configuration of the story.

mod asks;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::aws::{REGION, World};
use crate::iam::{Asked, Scope, evaluate};
use crate::proxy::{Call, Fault, Upstream, lock, refusal};

#[derive(Debug, Default)]
struct Policy {
    scope: Scope,
    document: Value,
    asked: BTreeSet<Asked>,
    denied: Vec<String>,
}

struct Shared {
    account: String,
    upstream: Upstream,
    /// The endpoint itself, asked for the tags of what a request is about.
    world: OnceCell<World>,
    policy: Mutex<Policy>,
}

/// A listening proxy; it ends with the runtime it was started on.
#[derive(Clone)]
pub(crate) struct Permitted {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Permitted {
    /// Listens on a free port of loopback, before `upstream`. Nothing is permitted yet.
    pub(crate) fn start(upstream: &str, account: &str, cluster: &str) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared {
            account: account.to_owned(),
            upstream: Upstream::new(upstream),
            world: OnceCell::new(),
            policy: Mutex::new(Policy {
                scope: Scope { cluster: cluster.to_owned(), ..Scope::default() },
                ..Policy::default()
            }),
        });
        let app = axum::Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, shared }
    }

    /// What goes into `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Permits what this configuration allows, beside what was permitted before. Without one,
    /// looking is permitted.
    pub(crate) fn permit(&self, config: &str) {
        self.change(|scope| {
            scope.configs.insert(config.to_owned());
        });
    }

    /// Permits reading the configuration from there.
    pub(crate) fn permit_source(&self, source: &str) {
        self.change(|scope| {
            scope.sources.insert(source.to_owned());
        });
    }

    /// Permits what `tidegate handover --apply` needs.
    pub(crate) fn permit_handover(&self) {
        self.change(|scope| scope.handover = true);
    }

    fn change(&self, change: impl FnOnce(&mut Scope)) {
        let mut policy = lock(&self.shared.policy);
        change(&mut policy.scope);
        policy.document = policy.scope.policy(REGION, &self.shared.account);
    }

    /// What was denied so far, oldest first.
    pub(crate) fn denied(&self) -> Vec<String> {
        lock(&self.shared.policy).denied.clone()
    }

    /// Ends a story: nothing may have been denied. Where `TIDEGATE_TEST_RECORD` names a folder,
    /// what was asked is written there, for tests that have no local AWS.
    pub(crate) fn close(&self) {
        let denied = self.denied();
        assert!(denied.is_empty(), "its policy does not allow {}", denied.join("\n"));
        if let Ok(folder) = std::env::var("TIDEGATE_TEST_RECORD") {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("story").replace("::", "-");
            let text = serde_json::to_string_pretty(&self.record()).expect("plain data");
            let path = Path::new(&folder).join(format!("{name}.json"));
            std::fs::write(path, text + "\n").expect("the record is written");
        }
    }

    /// One request of each sort, by itself.
    fn record(&self) -> Value {
        let policy = lock(&self.shared.policy);
        let sort = |asked: &Asked| {
            let kind = asked.resource.split('/').next().unwrap_or_default().to_owned();
            (asked.action.clone(), kind, asked.context.keys().cloned().collect::<Vec<_>>())
        };
        let mut seen = BTreeSet::new();
        let asked: Vec<_> = policy.asked.iter().filter(|asked| seen.insert(sort(asked))).collect();
        let record = json!({ "scope": policy.scope, "asked": asked });
        let text = record.to_string().replace(&self.shared.account, "111122223333");
        serde_json::from_str(&text).expect("it was JSON")
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // AWS refuses what nobody has signed, and dates that answer too.
    if !parts.headers.contains_key(AUTHORIZATION) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(call) = Call::of(&parts, &body) else {
        lock(&shared.policy).denied.push(format!("{} is no call that is known", parts.uri));
        return StatusCode::FORBIDDEN.into_response();
    };
    let world = shared.world.get_or_init(|| World::of(&shared.account)).await;
    match asks::of(&call, parts.uri.path(), &body, world).await {
        Ok(asked) if shared.allows(&call, &asked) => shared.upstream.pass(&parts, body).await,
        Ok(_) => refusal(&call, Fault::AccessDenied),
        Err(why) => {
            lock(&shared.policy).denied.push(format!("{call}: {why}"));
            refusal(&call, Fault::AccessDenied)
        }
    }
}

impl Shared {
    /// Whether everything that AWS asks for this call is allowed.
    fn allows(&self, call: &Call, asked: &[Asked]) -> bool {
        let mut policy = lock(&self.policy);
        let mut allowed = true;
        for asked in asked {
            let verdict = evaluate(&policy.document, asked);
            if !verdict.is_allowed() {
                allowed = false;
                policy.denied.push(format!("{call}: {asked:?}: {verdict:?}"));
            }
            policy.asked.insert(asked.clone());
        }
        allowed
    }
}
