//! Which rule a request meets: conditions and actions as the AWS API writes them, and wildcards.
//!
//! Rule: what the AWS documentation says of case holds: paths and methods as written, hosts and
//! header values in any case. A condition this data plane does not know never matches.

use axum::http::{HeaderMap, Method};
use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rule {
    pub arn: String,
    /// None is the default action of the listener.
    pub priority: Option<u32>,
    pub conditions: Vec<Condition>,
    pub actions: Vec<Action>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Condition {
    pub field: String,
    pub values: Vec<String>,
    pub path_pattern_config: Option<Values>,
    pub host_header_config: Option<Values>,
    pub http_request_method_config: Option<Values>,
    pub http_header_config: Option<HeaderValues>,
    pub query_string_config: Option<QueryValues>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Values {
    pub values: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HeaderValues {
    pub http_header_name: String,
    pub values: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct QueryValues {
    pub values: Vec<QueryValue>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct QueryValue {
    pub key: Option<String>,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Action {
    pub target_group_arn: Option<String>,
    pub forward_config: Option<Forward>,
    pub fixed_response_config: Option<Fixed>,
    pub redirect_config: Option<Redirect>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Forward {
    pub target_groups: Vec<Weighted>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Weighted {
    pub target_group_arn: String,
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Fixed {
    pub status_code: String,
    pub content_type: Option<String>,
    pub message_body: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Redirect {
    pub protocol: Option<String>,
    pub host: Option<String>,
    pub port: Option<String>,
    pub path: Option<String>,
    pub query: Option<String>,
    pub status_code: String,
}

/// What a rule sees of a request.
#[derive(Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    /// Without a port.
    pub host: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
}

impl Rule {
    pub fn matches(&self, asked: &Asked<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.matches(asked))
    }

    /// The groups its actions forward to, with their weights; empty if it answers otherwise.
    pub fn groups(&self) -> Vec<Weighted> {
        self.actions.iter().flat_map(Action::groups).collect()
    }
}

impl Action {
    fn groups(&self) -> Vec<Weighted> {
        match (&self.forward_config, &self.target_group_arn) {
            (Some(forward), _) => forward.target_groups.clone(),
            (None, Some(arn)) => vec![Weighted { target_group_arn: arn.clone(), weight: 1 }],
            (None, None) => Vec::new(),
        }
    }
}

impl Condition {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        let plain = |config: &Option<Values>| {
            config.as_ref().map_or_else(|| self.values.clone(), |config| config.values.clone())
        };
        match self.field.as_str() {
            "path-pattern" => {
                plain(&self.path_pattern_config).iter().any(|wanted| wild(wanted, asked.path))
            }
            "host-header" => plain(&self.host_header_config)
                .iter()
                .any(|wanted| wild_any_case(wanted, asked.host)),
            "http-request-method" => plain(&self.http_request_method_config)
                .iter()
                .any(|wanted| wanted == asked.method.as_str()),
            "http-header" => self.http_header_config.as_ref().is_some_and(|c| c.matches(asked)),
            "query-string" => self.query_string_config.as_ref().is_some_and(|c| c.matches(asked)),
            _ => false,
        }
    }
}

impl HeaderValues {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        let sent = asked.headers.get_all(self.http_header_name.to_ascii_lowercase());
        let sent = sent.iter().filter_map(|value| value.to_str().ok());
        sent.into_iter().any(|value| self.values.iter().any(|wanted| wild_any_case(wanted, value)))
    }
}

impl QueryValues {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        let pairs = asked.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let matches = |(key, value): (&str, &str)| {
            self.values.iter().any(|wanted| {
                let key_fits = wanted.key.as_ref().is_none_or(|name| wild_any_case(name, key));
                key_fits && wild_any_case(&wanted.value, value)
            })
        };
        pairs.into_iter().any(matches)
    }
}

fn wild_any_case(pattern: &str, text: &str) -> bool {
    wild(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

/// `*` is any text, also none; `?` is one character.
pub fn wild(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and how much of the text it has taken.
    let mut star = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            t = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_aws_says() {
        let table = [
            ("/api*", "/api", true),
            ("/api*", "/apiary", true),
            ("/api/posts/*", "/api/posts", false),
            ("/api/?osts*", "/api/posts/in-thread/1", true),
            ("/API*", "/api", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbx", false),
            ("/", "/", true),
            ("/", "/a", false),
        ];
        for (pattern, text, matches) in table {
            assert_eq!(wild(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_matches_when_all_its_conditions_do() {
        let rule: Rule = serde_json::from_value(serde_json::json!({
            "arn": "r", "priority": 1, "actions": [],
            "conditions": [
                {"Field": "path-pattern", "Values": ["/a*"]},
                {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.Example.com"]}},
                {"Field": "http-header",
                 "HttpHeaderConfig": {"HttpHeaderName": "X-Probe", "Values": ["abc"]}},
            ],
        }))
        .expect("a rule");
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("x-probe"),
            axum::http::HeaderValue::from_static("ABC"),
        )]);
        let asked =
            |path, host| Asked { method: &Method::GET, host, path, query: "", headers: &headers };
        assert!(rule.matches(&asked("/a/b", "API.example.com")));
        assert!(!rule.matches(&asked("/A", "api.example.com")));
        assert!(!rule.matches(&asked("/a", "example.com")));
    }
}
