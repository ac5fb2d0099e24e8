//! A proxy before the endpoint that plays AWS's bad days: lost requests, lost answers, refusals,
//! silence and half answers.
//!
//! Rule: what no fault matches passes byte for byte, so a test without faults is a test of AWS.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Which AWS operation a request asks for, written as IAM does: `ecs:DescribeServices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) service: String,
    pub(crate) operation: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.operation)
    }
}

impl Call {
    /// The JSON services name it in a header, the query services in the form they are sent,
    /// CloudWatch in the path, and of S3 one thing is asked.
    pub(crate) fn of(parts: &Parts, body: &[u8]) -> Option<Self> {
        if let Some(path) = parts.uri.path().strip_prefix("/service/GraniteServiceVersion20100801/")
        {
            return Some(Self::new("cloudwatch", path.strip_prefix("operation/")?));
        }
        if let Some(target) = parts.headers.get("x-amz-target") {
            let (family, operation) = target.to_str().ok()?.split_once('.')?;
            let service = match family.split("V20").next()? {
                "AmazonEC2ContainerRegistry_" => "ecr",
                "AmazonEC2ContainerService" => "ecs",
                "AmazonSQS" => "sqs",
                "AmazonSSM" => "ssm",
                "DynamoDB_20120810" => "dynamodb",
                "AnyScaleFrontendService" => "application-autoscaling",
                other => other,
            };
            return Some(Self::new(service, operation));
        }
        if parts.method == Method::GET && parts.headers.contains_key("x-amz-content-sha256") {
            return Some(Self::new("s3", "GetObject"));
        }
        let form = std::str::from_utf8(body).ok()?;
        let field = |name| {
            let mut fields = form.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let service = match field("Version")? {
            "2010-03-31" => "sns",
            "2011-01-01" => "autoscaling",
            "2016-11-15" => "ec2",
            "2011-06-15" => "sts",
            "2015-12-01" => "elasticloadbalancing",
            other => other,
        };
        Some(Self::new(service, field("Action")?))
    }

    fn new(service: &str, operation: &str) -> Self {
        let (service, operation) = (service.to_owned(), operation.to_owned());
        Self { service, operation }
    }

    /// `*`, `ecs:*` or `ecs:DescribeServices`.
    fn matches(&self, pattern: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(start) => self.to_string().starts_with(start),
            None => self.to_string() == pattern,
        }
    }

    fn is_json(&self) -> bool {
        let json = ["application-autoscaling", "dynamodb", "ecr", "ecs", "sqs", "ssm"];
        json.contains(&self.service.as_str())
    }
}

/// Where a request is cut off from its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// AWS has not seen it.
    Request,
    /// AWS has acted on it.
    Reply,
}

/// What becomes of a request instead of an answer by AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Throttled,
    ServerError,
    AccessDenied,
    /// No answer ever, and AWS has not seen it.
    Silence,
    /// The first entry of an ECS answer's list stands in `failures[]` instead.
    Failures,
    /// An ECS answer's list is empty, without a word why.
    Empty,
}

/// Whether it is this body of a request.
type Meant = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

#[derive(Clone)]
enum Rule {
    Fault(Fault),
    /// Only the first request that matches and has such a body; those after it pass.
    Hold(Cut, Meant),
}

struct Shared {
    upstream: Upstream,
    rules: Mutex<Vec<(String, Rule)>>,
    held: watch::Sender<Option<Call>>,
    /// How often a fault struck.
    struck: Mutex<u64>,
}

/// A listening proxy; it ends with the runtime it was started on.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a free port of loopback and passes everything on to `upstream`.
    pub(crate) async fn start(upstream: &str) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared {
            upstream: Upstream::new(upstream),
            rules: Mutex::default(),
            held: watch::Sender::new(None),
            struck: Mutex::default(),
        });
        let app = axum::Router::new().fallback(handle).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, shared }
    }

    /// What goes into `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every request that matches meets this fault: `*`, `ecs:*` or
    /// `ecs:DescribeServices`. The fault set last wins.
    pub(crate) fn fail(&self, pattern: &str, fault: Fault) {
        let rule = (pattern.to_owned(), Rule::Fault(fault));
        lock(&self.shared.rules).insert(0, rule);
    }

    /// Ends all faults and holds; what hangs already goes on hanging.
    pub(crate) fn heal(&self) {
        lock(&self.shared.rules).clear();
    }

    /// How many requests have met a fault so far.
    pub(crate) fn struck(&self) -> u64 {
        *lock(&self.shared.struck)
    }

    /// The next request that matches is cut off here. Its client gets nothing any more.
    pub(crate) fn hold(&self, pattern: &str, cut: Cut) {
        self.hold_if(pattern, |_| true, cut);
    }

    /// The same for the next that matches and has such a body.
    pub(crate) fn hold_if(
        &self,
        pattern: &str,
        body: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
        cut: Cut,
    ) {
        self.shared.held.send_replace(None);
        let rule = (pattern.to_owned(), Rule::Hold(cut, Arc::new(body)));
        lock(&self.shared.rules).insert(0, rule);
    }

    /// Waits until the request to be held is held; after a cut reply, AWS has answered by then.
    pub(crate) async fn held(&self, within: Duration) -> Option<Call> {
        let mut held = self.shared.held.subscribe();
        let wait = held.wait_for(Option::is_some);
        let call = tokio::time::timeout(within, wait).await.ok()?;
        call.ok()?.clone()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds a lock")
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let call = Call::of(&parts, &body);
    let Some((rule, call)) = call.and_then(|call| Some((shared.rule_for(&call, &body)?, call)))
    else {
        return shared.upstream.pass(&parts, body).await;
    };
    let fault = match rule {
        Rule::Hold(cut, _) => {
            if cut == Cut::Reply {
                shared.upstream.pass(&parts, body).await;
            }
            shared.held.send_replace(Some(call));
            return std::future::pending().await;
        }
        Rule::Fault(fault) => fault,
    };
    *lock(&shared.struck) += 1;
    match fault {
        Fault::Throttled | Fault::ServerError | Fault::AccessDenied => refusal(&call, fault),
        Fault::Silence => std::future::pending().await,
        Fault::Failures | Fault::Empty => {
            let answer = shared.upstream.pass(&parts, body).await;
            cut_list(answer, fault == Fault::Failures).await
        }
    }
}

impl Shared {
    /// The rule this call meets. A hold is used up by it.
    fn rule_for(&self, call: &Call, body: &[u8]) -> Option<Rule> {
        let mut rules = lock(&self.rules);
        let at = rules.iter().position(|(pattern, rule)| {
            call.matches(pattern)
                && match rule {
                    Rule::Hold(_, is_meant) => is_meant(body),
                    Rule::Fault(_) => true,
                }
        })?;
        Some(match &rules[at].1 {
            Rule::Hold(..) => rules.remove(at).1,
            fault @ Rule::Fault(_) => fault.clone(),
        })
    }
}

/// Where a proxy passes requests on to.
#[derive(Debug)]
pub(crate) struct Upstream {
    url: String,
    client: reqwest::Client,
}

impl Upstream {
    pub(crate) fn new(url: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.expect("a client without TLS");
        Self { url: url.trim_end_matches('/').to_owned(), client }
    }

    /// The request as it came, and the answer as it comes.
    pub(crate) async fn pass(&self, parts: &Parts, body: Bytes) -> Response {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{}{path}", self.url);
        let sent = self
            .client
            .request(parts.method.clone(), url)
            .headers(end_to_end(&parts.headers))
            .body(body)
            .send();
        let (status, headers, body) = match sent.await {
            Ok(answer) => (answer.status(), end_to_end(answer.headers()), answer.bytes().await),
            Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        };
        match body {
            Ok(body) => (status, headers, body).into_response(),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }
}

/// Headers that speak of the message, not of one connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for hop in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
    ] {
        headers.remove(hop);
    }
    headers
}

/// An error as this service words it (common errors of each API's reference).
pub(crate) fn refusal(call: &Call, fault: Fault) -> Response {
    let (code, status) = match (call.service.as_str(), fault) {
        ("ec2", Fault::Throttled) => ("RequestLimitExceeded", 503),
        ("ec2", Fault::AccessDenied) => ("UnauthorizedOperation", 403),
        ("ec2", _) => ("InternalError", 500),
        ("autoscaling" | "elasticloadbalancing" | "sts", Fault::Throttled) => ("Throttling", 400),
        ("autoscaling" | "elasticloadbalancing" | "sts", Fault::AccessDenied) => {
            ("AccessDenied", 403)
        }
        ("autoscaling" | "elasticloadbalancing" | "sts", _) => ("InternalFailure", 500),
        (_, Fault::Throttled) => ("ThrottlingException", 400),
        (_, Fault::AccessDenied) => ("AccessDeniedException", 400),
        ("ecs", _) => ("ServerException", 500),
        _ => ("InternalServiceException", 500),
    };
    let message = match fault {
        Fault::Throttled => "Rate exceeded".to_owned(),
        Fault::AccessDenied => format!("Somebody is not authorized to perform: {call}"),
        _ => "An internal error has occurred".to_owned(),
    };
    let status = StatusCode::from_u16(status).expect("a status of the table above");
    if call.is_json() {
        let body = json!({ "__type": code, "message": message }).to_string();
        let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
        return (status, kind, body).into_response();
    }
    let error = format!("<Code>{code}</Code><Message>{message}</Message>");
    let body = if call.service == "ec2" {
        format!(
            "<Response><Errors><Error>{error}</Error></Errors><RequestID>r-1</RequestID></Response>"
        )
    } else {
        let kind = if status.is_server_error() { "Receiver" } else { "Sender" };
        format!(
            "<ErrorResponse><Error><Type>{kind}</Type>{error}</Error>\
             <RequestId>r-1</RequestId></ErrorResponse>"
        )
    };
    (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

/// Empties the one list of an ECS answer; or, if `named`, moves its first entry to `failures[]`.
async fn cut_list(answer: Response, named: bool) -> Response {
    let (mut parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body in memory");
    let mut said: Value = serde_json::from_slice(&body).expect("an answer of ECS is JSON");
    let mut failures = Vec::new();
    for (key, list) in said.as_object_mut().into_iter().flatten() {
        // `services` are named by their `serviceArn`, and so are all others.
        let own_arn = format!("{}Arn", key.trim_end_matches('s'));
        match list.as_array_mut() {
            Some(list) if key != "failures" && !named => list.clear(),
            Some(list) if key != "failures" && !list.is_empty() => {
                let arn = &list.remove(0)[&own_arn];
                failures.push(json!({ "arn": arn, "reason": "INTERNAL" }));
            }
            Some(_) | None => {}
        }
    }
    said["failures"] = Value::Array(failures);
    // LocalStack sends a checksum of what it said.
    parts.headers.remove("x-amz-crc32");
    Response::from_parts(parts, Body::from(said.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An endpoint that says what it was sent, or `body` if that is given.
    async fn upstream(body: Option<&'static str>) -> (String, watch::Receiver<u32>) {
        let (count, counted) = watch::channel(0);
        let app = axum::Router::new().fallback(move |request: Request| async move {
            count.send_modify(|count| *count += 1);
            let seen = request.headers().get("authorization").cloned();
            let path = request.uri().to_string();
            let sent = to_bytes(request.into_body(), usize::MAX).await.unwrap();
            let sent = body.map_or(sent, |body| Bytes::from_static(body.as_bytes()));
            let headers = [("x-path", path), ("x-seen", format!("{seen:?}"))];
            (StatusCode::IM_A_TEAPOT, headers, sent)
        });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (url, counted)
    }

    fn ecs(proxy: &Proxy, operation: &str) -> reqwest::RequestBuilder {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        client().post(proxy.url()).header("x-amz-target", target).body("{}")
    }

    fn form(proxy: &Proxy, version: &str, action: &str) -> reqwest::RequestBuilder {
        client().post(proxy.url()).body(format!("Action={action}&Version={version}&A=%7E"))
    }

    fn client() -> reqwest::Client {
        reqwest::Client::builder().no_proxy().build().unwrap()
    }

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_no_fault_matches_passes_byte_for_byte() {
        let (url, _) = upstream(None).await;
        let proxy = Proxy::start(&url).await;
        proxy.fail("ecs:DescribeServices", Fault::ServerError);
        let sent: Vec<u8> = (0..=255).collect();
        let request = client().post(format!("{}/a%20b?c=%2F", proxy.url())).body(sent.clone());
        let answer = request.header("authorization", "AWS4 x").send().await.unwrap();
        assert_eq!(answer.status(), 418);
        assert_eq!(answer.headers()["x-path"], "/a%20b?c=%2F");
        assert_eq!(answer.headers()["x-seen"], "Some(\"AWS4 x\")");
        assert_eq!(answer.bytes().await.unwrap(), sent);
        assert_eq!(proxy.struck(), 0);
    }

    #[tokio::test]
    async fn each_service_refuses_in_its_own_words() {
        let (url, seen) = upstream(None).await;
        let proxy = Proxy::start(&url).await;
        proxy.fail("*", Fault::Throttled);
        let answer = ecs(&proxy, "ListTasks").send().await.unwrap();
        assert_eq!(answer.status(), 400);
        let said: Value = answer.json().await.unwrap();
        assert_eq!(said["__type"], "ThrottlingException");
        let answer = form(&proxy, "2011-01-01", "DescribePolicies").send().await.unwrap();
        assert_eq!(answer.status(), 400);
        let said = answer.text().await.unwrap();
        assert!(said.contains("<Type>Sender</Type><Code>Throttling</Code>"), "{said}");
        proxy.fail("ec2:*", Fault::AccessDenied);
        let answer = form(&proxy, "2016-11-15", "DescribeInstances").send().await.unwrap();
        assert_eq!(answer.status(), 403);
        let said = answer.text().await.unwrap();
        assert!(said.contains("<Code>UnauthorizedOperation</Code>"), "{said}");
        assert_eq!((proxy.struck(), *seen.borrow()), (3, 0));
        proxy.heal();
        assert_eq!(ecs(&proxy, "ListTasks").send().await.unwrap().status(), 418);
    }

    #[tokio::test]
    async fn a_held_request_was_not_seen_and_a_held_reply_was() {
        for (cut, reached) in [(Cut::Request, 0), (Cut::Reply, 1)] {
            let (url, seen) = upstream(None).await;
            let proxy = Proxy::start(&url).await;
            proxy.hold("ecs:PutAttributes", cut);
            let client = tokio::spawn(ecs(&proxy, "PutAttributes").send());
            let held = proxy.held(SOON).await.unwrap();
            assert_eq!(held.to_string(), "ecs:PutAttributes");
            assert_eq!(*seen.borrow(), reached, "{cut:?}");
            assert!(!client.is_finished());
            client.abort();
            let again = ecs(&proxy, "PutAttributes").send().await.unwrap();
            assert_eq!(again.status(), 418, "only the first is held");
        }
    }

    #[tokio::test]
    async fn a_silent_call_answers_nothing() {
        let (url, seen) = upstream(None).await;
        let proxy = Proxy::start(&url).await;
        proxy.fail("ecs:ListTasks", Fault::Silence);
        let request = ecs(&proxy, "ListTasks").timeout(Duration::from_millis(100));
        assert!(request.send().await.unwrap_err().is_timeout());
        assert_eq!(*seen.borrow(), 0);
    }

    #[tokio::test]
    async fn a_cut_list_is_named_in_failures_or_not_at_all() {
        let said = r#"{"services":[{"clusterArn":"c","serviceArn":"s"},{}],"failures":[]}"#;
        let (url, _) = upstream(Some(said)).await;
        let proxy = Proxy::start(&url).await;
        proxy.fail("ecs:DescribeServices", Fault::Failures);
        let cut = |operation| {
            let sent = ecs(&proxy, operation).send();
            async { sent.await.unwrap().json::<Value>().await.unwrap() }
        };
        let failures = json!([{ "arn": "s", "reason": "INTERNAL" }]);
        let expected = json!({ "services": [{}], "failures": failures });
        assert_eq!(cut("DescribeServices").await, expected);
        proxy.fail("ecs:DescribeServices", Fault::Empty);
        let expected = json!({ "services": [], "failures": [] });
        assert_eq!(cut("DescribeServices").await, expected);
    }
}
