//! One listener: takes HTTP requests on a loopback port and forwards them by the rules.
//!
//! Rule: a request is sent to one target once. What goes wrong there is the client's to see: 502
//! when the connection fails or is cut, 504 when nothing comes in time.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::live::{Check, Choice, InFlight};
use super::meter::Ending;
use super::rules::{Action, Asked, Fixed, Redirect};
use super::{Shared, now};

/// As the idle timeout of a load balancer that nobody has changed.
const IDLE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
/// Bodies are passed on whole; none of the demo's is near this.
const BODY_LIMIT: usize = 1 << 20;

const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
];

pub type Sender = Client<HttpConnector, Body>;

pub fn sender() -> Sender {
    Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector())
}

/// For health checks: each over a connection of its own.
pub fn checker() -> Sender {
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector())
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

#[derive(Clone, Debug)]
pub struct Front {
    pub listener: String,
    pub load_balancer: String,
    pub port: u16,
    pub shared: Shared,
    pub sender: Sender,
}

pub async fn forward(State(front): State<Front>, request: Request) -> Response {
    let choice = front.choose(&request);
    let (group, ending, response) = match choice {
        Choice::Forward(in_flight) => {
            let group = in_flight.0.group.clone();
            let (ending, response) = front.send(in_flight, request).await;
            (Some(group), ending, response)
        }
        Choice::Answer(action) => own(answer(&action, &request, front.port)),
        Choice::Nobody => own(StatusCode::SERVICE_UNAVAILABLE.into_response()),
    };
    front.shared.meter().note(&front.load_balancer, group.as_deref(), ending);
    response
}

fn own(response: Response) -> (Option<String>, Ending, Response) {
    (None, Ending::Own { status: response.status().as_u16() }, response)
}

impl Front {
    fn choose(&self, request: &Request) -> Choice {
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        let host = host.split(':').next().unwrap_or("");
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or(""));
        let asked = Asked { method: request.method(), host, path, query, headers };
        self.shared.live().choose(&self.listener, &asked)
    }

    /// Sends the request to the target, once.
    async fn send(&self, in_flight: InFlight, request: Request) -> (Ending, Response) {
        let failed =
            |status: StatusCode, unreached| (Ending::Failed { unreached }, status.into_response());
        let port = self.shared.processes().port_of(&in_flight.0.key);
        let Some(port) = port else { return failed(StatusCode::BAD_GATEWAY, true) };
        let Ok(request) = rewritten(request, port, self.port).await else {
            return (Ending::Own { status: 413 }, StatusCode::PAYLOAD_TOO_LARGE.into_response());
        };
        let began = now();
        let exchange = async {
            let response =
                self.sender.request(request).await.map_err(|error| error.is_connect())?;
            let time = began.elapsed();
            let (mut parts, body) = response.into_parts();
            let body = to_bytes(Body::new(body), BODY_LIMIT).await.map_err(|_| false)?;
            strip(&mut parts.headers);
            Ok::<_, bool>((time, Response::from_parts(parts, Body::from(body))))
        };
        tokio::select! {
            ended = exchange => match ended {
                Ok((time, response)) => {
                    let status = response.status().as_u16();
                    (Ending::Answered { status, time }, response)
                }
                Err(unreached) => failed(StatusCode::BAD_GATEWAY, unreached),
            },
            () = in_flight.0.cut.cancelled() => failed(StatusCode::BAD_GATEWAY, false),
            () = tokio::time::sleep(IDLE) => failed(StatusCode::GATEWAY_TIMEOUT, false),
        }
    }
}

/// The same request to the target, with the headers a load balancer adds.
async fn rewritten(request: Request, to: u16, came_by: u16) -> Result<Request, axum::Error> {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if let Ok(uri) = format!("http://127.0.0.1:{to}{path}").parse::<Uri>() {
        parts.uri = uri;
    }
    strip(&mut parts.headers);
    let add = [
        ("x-forwarded-for", "127.0.0.1".to_owned()),
        ("x-forwarded-proto", "http".to_owned()),
        ("x-forwarded-port", came_by.to_string()),
    ];
    for (name, value) in add {
        if let Ok(value) = value.parse() {
            parts.headers.insert(name, value);
        }
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn answer(action: &Action, request: &Request, port: u16) -> Response {
    let unknown = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let built = match action {
        Action { fixed_response_config: Some(fixed), .. } => fixed_response(fixed),
        Action { redirect_config: Some(redirect), .. } => redirection(redirect, request, port),
        _ => None,
    };
    built.unwrap_or_else(unknown)
}

fn fixed_response(fixed: &Fixed) -> Option<Response> {
    let status: StatusCode = fixed.status_code.parse().ok()?;
    let kind = fixed.content_type.clone().unwrap_or_else(|| "text/plain".to_owned());
    let body = fixed.message_body.clone().unwrap_or_default();
    Some((status, [(header::CONTENT_TYPE, kind)], body).into_response())
}

fn redirection(to: &Redirect, request: &Request, port: u16) -> Option<Response> {
    let status = if to.status_code == "HTTP_301" {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::FOUND
    };
    let host = request.headers().get(header::HOST)?.to_str().ok()?.split(':').next()?;
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or(""));
    let filled = |template: &Option<String>, default: &str| {
        let text = template.clone().unwrap_or_else(|| default.to_owned());
        let text = text.replace("#{host}", host).replace("#{port}", &port.to_string());
        let text = text.replace("#{protocol}", "HTTP").replace("#{query}", query);
        text.replace("#{path}", path.trim_start_matches('/'))
    };
    let protocol = filled(&to.protocol, "#{protocol}").to_lowercase();
    let (host, port) = (filled(&to.host, "#{host}"), filled(&to.port, "#{port}"));
    let (path, query) = (filled(&to.path, "/#{path}"), filled(&to.query, "#{query}"));
    let query = if query.is_empty() { query } else { format!("?{query}") };
    let location = format!("{protocol}://{host}:{port}{path}{query}");
    Some((status, [(header::LOCATION, location)]).into_response())
}

/// One health check: whether the target answered in time, and as it should.
pub async fn passes(checker: &Sender, port: u16, check: &Check) -> bool {
    let request = Request::get(format!("http://127.0.0.1:{port}{}", check.path))
        .header(header::USER_AGENT, "ELB-HealthChecker/2.0")
        .body(Body::empty());
    let Ok(request) = request else { return false };
    match tokio::time::timeout(check.timeout, checker.request(request)).await {
        Ok(Ok(answer)) => includes(&check.codes, answer.status().as_u16()),
        _ => false,
    }
}

/// Whether a matcher such as `200,202` or `200-299` has the code.
fn includes(codes: &str, status: u16) -> bool {
    codes.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let bounds = (first.trim().parse::<u16>(), last.trim().parse::<u16>());
        matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&status))
    })
}
