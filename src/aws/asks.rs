//! Questions to what is not the load balancer: alarms, Prometheus, checks by HTTP, and probes.
//!
//! Rule: an answer that did not come is `Nothing`, with the reason. It is never a pass.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde_json::Value;

use super::clients::Reads;
use crate::model::*;

/// For the whole of one question.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Most of an answer that is read.
const BODY_MAX: usize = 64 * 1024;

/// What was said, and its words.
type Answer = (Said, String);

/// A client that goes straight to where it is sent.
fn client() -> Option<Client> {
    let client = Client::builder().timeout(ASK_LIMIT).redirect(Policy::none()).no_proxy();
    client.user_agent("tidegate").build().ok()
}

/// Puts all questions at once. `addresses` are those of listeners.
pub(super) async fn ask(
    reads: &Reads,
    asks: &[Ask],
    addresses: &BTreeMap<ListenerArn, String>,
    at: DateTime<Utc>,
) -> BTreeMap<String, Reading> {
    let alarms = asks.iter().filter_map(|ask| match &ask.of {
        Asked::Alarm { alarm } => Some(alarm.clone()),
        _ => None,
    });
    let alarms: BTreeSet<String> = alarms.collect();
    let others = asks.iter().filter(|ask| !matches!(ask.of, Asked::Alarm { .. }));
    let others = others.map(async |ask| (&ask.name, one(reads, &ask.of, addresses).await));
    let (alarms, others) = futures::join!(reads.alarms(&alarms), join_all(others));
    let of_alarms = asks.iter().filter_map(|ask| match &ask.of {
        Asked::Alarm { alarm } => Some((&ask.name, of_alarm(&alarms, alarm))),
        _ => None,
    });
    let answers = of_alarms.chain(others);
    answers.map(|(name, (said, detail))| (name.clone(), Reading { at, said, detail })).collect()
}

fn of_alarm(found: &Result<BTreeMap<String, Answer>, Gap>, alarm: &str) -> Answer {
    match found {
        Ok(found) => {
            let none = || nothing(format!("there is no alarm `{alarm}`"));
            found.get(alarm).cloned().unwrap_or_else(none)
        }
        Err(gap) => nothing(format!("{} failed: {}", gap.source, gap.failure)),
    }
}

async fn one(reads: &Reads, asked: &Asked, addresses: &BTreeMap<ListenerArn, String>) -> Answer {
    let Some(http) = reads.http.get_or_init(client) else {
        return nothing("this machine has no TLS to ask with");
    };
    let answer = match asked {
        Asked::Alarm { .. } => return nothing("an alarm is asked with all others"),
        Asked::Prometheus { url, query, below, above } => {
            prometheus(http, url, query, [below.as_deref(), above.as_deref()]).await
        }
        Asked::Http { url } => check(http, url).await,
        Asked::Probe { listener, url, host, header, expect_status } => {
            let base = if url.starts_with('/') {
                match addresses.get(listener) {
                    Some(address) => address.as_str(),
                    None => return nothing("the listener's address is not known"),
                }
            } else {
                ""
            };
            probe(http, &format!("{base}{url}"), host.as_deref(), header, *expect_status).await
        }
    };
    answer.unwrap_or_else(nothing)
}

/// `/api/v1/query`: exactly one value, below and above what is given.
async fn prometheus(
    http: &Client,
    base: &str,
    query: &str,
    [below, above]: [Option<&str>; 2],
) -> Result<Answer, String> {
    let url = format!("{}/api/v1/query", base.trim_end_matches('/'));
    let mut url = Url::parse(&url).map_err(|error| format!("{url}: {error}"))?;
    url.query_pairs_mut().append_pair("query", query);
    let answer = http.get(url).send().await.map_err(told)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("Prometheus answered {}", status.as_u16()));
    }
    let answer: Value =
        serde_json::from_str(&text(answer).await?).map_err(|error| error.to_string())?;
    let data = &answer["data"];
    let points: Vec<&Value> = match data["resultType"].as_str() {
        Some("scalar") => vec![&data["result"]],
        Some("vector") => {
            data["result"].as_array().into_iter().flatten().map(|row| &row["value"]).collect()
        }
        other => return Err(format!("a result of type `{}`", other.unwrap_or("none"))),
    };
    let [point] = points.as_slice() else {
        return Ok((Said::Inconclusive, format!("{} values where one is wanted", points.len())));
    };
    let value = point[1].as_str().unwrap_or_default();
    judge(value, below, above)
}

/// Whether a value keeps to its bounds. What is no number is no verdict.
fn judge(value: &str, below: Option<&str>, above: Option<&str>) -> Result<Answer, String> {
    let bound = |text: Option<&str>| {
        let parsed = text.map(|text| text.parse::<f64>().map_err(|_| format!("bound `{text}`")));
        parsed.transpose()
    };
    let (below, above) = (bound(below)?, bound(above)?);
    let number = value.parse::<f64>().ok().filter(|number| !number.is_nan());
    let Some(number) = number.filter(|_| below.is_some() || above.is_some()) else {
        return Ok((Said::Inconclusive, value.to_owned()));
    };
    let keeps = below.is_none_or(|max| number < max) && above.is_none_or(|min| number > min);
    Ok((if keeps { Said::Pass } else { Said::Fail }, value.to_owned()))
}

/// A verdict in words, plain or as `status` of a JSON object.
async fn check(http: &Client, url: &str) -> Result<Answer, String> {
    let answer = http.get(url).send().await.map_err(told)?;
    let status = answer.status();
    if status.as_u16() != 200 {
        return Err(format!("it answered {}", status.as_u16()));
    }
    Ok(verdict(&text(answer).await?))
}

fn verdict(body: &str) -> Answer {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let word = json["status"].as_str().or(json.as_str()).unwrap_or(body).trim();
    let said = match word.to_ascii_lowercase().as_str() {
        "pass" => Said::Pass,
        "fail" => Said::Fail,
        _ => Said::Inconclusive,
    };
    (said, word.chars().take(200).collect())
}

/// One request as a user would send it, but for the header.
async fn probe(
    http: &Client,
    url: &str,
    host: Option<&str>,
    (name, value): &(String, String),
    expect: u16,
) -> Result<Answer, String> {
    let mut request = http.get(url).header(name, value);
    if let Some(host) = host {
        request = request.header("host", host);
    }
    let status = request.send().await.map_err(told)?.status().as_u16();
    let said = if status == expect { Said::Pass } else { Said::Fail };
    Ok((said, format!("answered {status}")))
}

/// The beginning of an answer's body.
async fn text(mut answer: Response) -> Result<String, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(told)? {
        let room = BODY_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == BODY_MAX {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn nothing(why: impl Into<String>) -> Answer {
    (Said::Nothing, why.into())
}

/// The last cause says most: the first only that a request failed.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_passes_within_its_bounds_only() {
        let said = |value, below, above| judge(value, below, above).unwrap().0;
        assert_eq!(said("0.009", Some("0.01"), None), Said::Pass);
        assert_eq!(said("0.010", Some("0.01"), None), Said::Fail);
        assert_eq!(said("5", Some("10"), Some("1")), Said::Pass);
        assert_eq!(said("1", Some("10"), Some("1")), Said::Fail);
        assert_eq!(said("NaN", Some("10"), None), Said::Inconclusive);
        assert_eq!(said("", Some("10"), None), Said::Inconclusive);
        assert_eq!(said("+Inf", Some("10"), None), Said::Fail);
        assert_eq!(said("5", None, None), Said::Inconclusive);
        assert!(judge("1", Some("much"), None).is_err());
    }

    #[test]
    fn a_check_speaks_plainly_or_in_json() {
        assert_eq!(verdict("pass\n").0, Said::Pass);
        assert_eq!(verdict("\"fail\"").0, Said::Fail);
        assert_eq!(verdict(r#"{"status": "Pass"}"#).0, Said::Pass);
        assert_eq!(verdict(r#"{"status": "inconclusive"}"#).0, Said::Inconclusive);
        assert_eq!(verdict("<html>").0, Said::Inconclusive);
    }
}
