//! The demo's programs: the monolith `api` and the services `users`, `threads` and `posts`, with
//! the routes of the tutorial and a small data set.
//!
//! Rule: the answer to a path is a pure function of the program and the path, so that a client
//! knows what is right. Faults come from the environment of the task, never from chance alone.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use serde_json::{Value, json};

/// Which program answered, as a response header.
pub const SERVED_BY: &str = "x-served-by";

/// Said on standard output, before the port, once the program listens.
pub const LISTENS_ON: &str = "listens on port ";

const USERS: [(u32, &str); 4] = [(1, "Ada"), (2, "Grace"), (3, "Edsger"), (4, "Barbara")];
const THREADS: [(u32, &str, u32); 3] =
    [(1, "Which port is free?", 2), (2, "Lunch on Friday", 1), (3, "Old disks", 4)];
const POSTS: [(u32, u32, &str); 5] = [
    (1, 1, "Mine is taken."),
    (1, 2, "Any above 1024."),
    (2, 3, "Count me in."),
    (2, 4, "Me too."),
    (3, 1, "I take them all."),
];

/// The routes of the tutorial's services. The monolith has them all.
const SERVICES: [&str; 3] = ["users", "threads", "posts"];

/// The program of an image, by the last part of its name.
pub fn name_of(image: &str) -> Option<&'static str> {
    let repository = image.rsplit('/').next()?.split(['@', ':']).next()?;
    ["api"].into_iter().chain(SERVICES).find(|name| *name == repository)
}

/// What the program answers to a path, if it knows it.
pub fn answer(program: &str, path: &str) -> Option<Value> {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        [""] => Some(json!("Ready to receive requests")),
        ["api"] => Some(json!("API ready to receive requests")),
        ["api", service, rest @ ..] if program == "api" || program == *service => {
            of_service(service, rest)
        }
        _ => None,
    }
}

fn of_service(service: &str, rest: &[&str]) -> Option<Value> {
    let users = || USERS.iter().map(|(id, name)| json!({ "id": id, "name": name }));
    let threads = || {
        let thread =
            |(id, title, by): &(u32, _, _)| json!({ "id": id, "title": title, "user": by });
        THREADS.iter().map(thread)
    };
    let posts = || {
        let post =
            |(thread, by, text): &(_, _, _)| json!({ "thread": thread, "user": by, "text": text });
        POSTS.iter().map(post)
    };
    let with = |all: Vec<Value>, field: &str, id: &str| -> Vec<Value> {
        all.into_iter().filter(|each| each[field].as_u64() == id.parse().ok()).collect()
    };
    match (service, rest) {
        ("users", []) => Some(users().collect()),
        ("users", [id]) => with(users().collect(), "id", id).pop(),
        ("threads", []) => Some(threads().collect()),
        ("threads", [id]) => with(threads().collect(), "id", id).pop(),
        ("posts", []) => Some(posts().collect()),
        ("posts", ["in-thread", id]) => Some(with(posts().collect(), "thread", id).into()),
        ("posts", ["by-user", id]) => Some(with(posts().collect(), "user", id).into()),
        _ => None,
    }
}

/// What a task definition's environment makes a program do wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// `FAULT_5XX_SHARE`, such as 0.02: this share of the requests gets a 500.
    pub errors: f64,
    /// `FAULT_LATENCY_MS`: each request takes so much longer.
    pub latency: Duration,
    /// `FAULT_HEALTH=fail`: every health check gets a 500.
    pub health: bool,
}

impl Faults {
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name| variable(name).and_then(|text| text.parse::<f64>().ok());
        let millis = number("FAULT_LATENCY_MS").unwrap_or(0.0);
        Self {
            errors: number("FAULT_5XX_SHARE").unwrap_or(0.0),
            latency: Duration::from_secs_f64(millis / 1000.0),
            health: variable("FAULT_HEALTH").as_deref() == Some("fail"),
        }
    }

    /// Whether the n-th request fails: evenly spread, so that a share is exact.
    fn hits(&self, n: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "no test sends 2^52 requests")]
        let before = |n: u64| (n as f64 * self.errors).floor();
        before(n + 1) > before(n)
    }
}

#[derive(Debug)]
struct Program {
    name: String,
    faults: Faults,
    requests: AtomicU64,
}

/// Serves the program on a loopback port (0: a free one) until the process ends, and says which.
pub async fn serve(name: &str, port: u16, faults: Faults) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = listener.local_addr()?.port();
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let program = Program { name: name.to_owned(), faults, requests: AtomicU64::new(0) };
    let router = Router::new().fallback(respond).with_state(Arc::new(program));
    #[expect(clippy::print_stdout, reason = "whoever started the process reads it")]
    {
        // On a line of its own, whatever was written before.
        println!("\n{LISTENS_ON}{port}");
    }
    axum::serve(listener, router).await
}

async fn respond(State(program): State<Arc<Program>>, request: Request) -> Response {
    let path = request.uri().path();
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let is_check = agent.is_some_and(|agent| agent.starts_with("ELB-HealthChecker"));
    let fails = if is_check {
        program.faults.health
    } else {
        let n = program.requests.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(program.faults.latency).await;
        program.faults.hits(n)
    };
    let (status, body) = match answer(&program.name, path) {
        _ if fails => (StatusCode::INTERNAL_SERVER_ERROR, json!("fault")),
        Some(body) => (StatusCode::OK, body),
        None => (StatusCode::NOT_FOUND, json!("no such route")),
    };
    (status, [(SERVED_BY, program.name.clone())], axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monolith_answers_every_route_as_the_service_does() {
        for (service, path) in [
            ("users", "/api/users"),
            ("users", "/api/users/3"),
            ("threads", "/api/threads/1"),
            ("posts", "/api/posts/in-thread/2"),
            ("posts", "/api/posts/by-user/1"),
        ] {
            let right = answer(service, path);
            assert!(right.is_some(), "{path}");
            assert_eq!(answer("api", path), right, "{path}");
        }
        assert_eq!(answer("users", "/api/posts"), None);
        // The tutorial tells its readers to try this one.
        assert_eq!(answer("api", "/api/posts/1"), None);
        assert_eq!(answer("posts", "/"), answer("api", "/"));
    }

    #[test]
    fn a_share_of_errors_is_exact() {
        let faults = Faults::of(|name| (name == "FAULT_5XX_SHARE").then(|| "0.02".to_owned()));
        assert_eq!((0..1000).filter(|n| faults.hits(*n)).count(), 20);
    }

    #[test]
    fn an_image_names_its_program() {
        assert_eq!(name_of("1.dkr.ecr.us-east-1.amazonaws.com/demo/users:v1"), Some("users"));
        assert_eq!(name_of("api@sha256:0"), Some("api"));
        assert_eq!(name_of("busybox"), None);
    }
}
