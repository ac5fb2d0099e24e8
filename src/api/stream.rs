//! The live stream: one event for each publication, so that pages know when to look again.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio_stream::wrappers::WatchStream;
use utoipa::ToSchema;

use super::{ApiState, Problem};
use crate::control::status::Status;
use crate::model::ClusterName;

/// Time without news after which a heartbeat tells that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What an event of type `status` holds.
#[derive(Serialize, ToSchema)]
pub(super) struct StatusEvent {
    /// Also the event's id.
    generation: u64,
    clusters: Vec<ClusterEvent>,
}

#[derive(Serialize, ToSchema)]
struct ClusterEvent {
    name: ClusterName,
    at: chrono::DateTime<chrono::Utc>,
    /// The newest decision.
    decision: Option<String>,
}

/// Server-sent events: `status` with each publication, `heartbeat` every 15 s without one.
#[utoipa::path(get, path = "/api/v1/stream", tag = "clusters",
    params(("last-event-id" = Option<u64>, Header, description = "Sent by browsers that reconnect")),
    responses((status = 200, body = StatusEvent, content_type = "text/event-stream"),
              (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn stream(
    State(state): State<ApiState>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let permit = state.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_streams",
            "too many live streams are open",
            "close some pages, or read the status every few seconds instead",
        )
    })?;
    let last = headers.get("last-event-id");
    let last: Option<u64> = last.and_then(|id| id.to_str().ok()?.parse().ok());
    let news = WatchStream::new(state.status.clone())
        .filter(move |status| std::future::ready(Some(status.generation) != last))
        .map(move |status| {
            // Held by the stream, and so given back with it.
            let _permit = &permit;
            Ok(event(&status))
        })
        .take_until(state.stop.clone().cancelled_owned());
    // Browsers drop an event whose data is empty.
    let heartbeat = Event::default().event("heartbeat").data("alive");
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).event(heartbeat);
    Ok(Sse::new(news).keep_alive(keep_alive))
}

fn event(status: &Status) -> Event {
    let clusters = status.clusters.iter().map(|cluster| ClusterEvent {
        name: cluster.name.clone(),
        at: cluster.at,
        decision: cluster.decisions.first().map(|decision| decision.id.clone()),
    });
    let news = StatusEvent { generation: status.generation, clusters: clusters.collect() };
    Event::default()
        .event("status")
        .id(news.generation.to_string())
        .data(serde_json::to_string(&news).unwrap_or_default())
}
