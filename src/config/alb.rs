//! What an Application Load Balancer takes as patterns, names, codes and addresses.
//!
//! Rule: what is read here AWS would take; limits are those of the ELBv2 API reference and of its
//! quotas that cannot be raised.

use super::names::texts;
use super::node::{Node, Value};
use super::read::{Read, needs};
use super::{error::Problems, names};

/// Most condition values of one rule, over all its conditions.
pub(super) const VALUES_MAX: usize = 5;
/// Most wildcards of one rule, over all its values.
pub(super) const WILDCARDS_MAX: usize = 5;
/// Most characters of a pattern.
const PATTERN_MAX: usize = 128;
/// Most characters of the body of a fixed response.
const BODY_MAX: usize = 1024;

texts! {
    PathPattern: "path pattern of a load balancer",
        "begin with `/` or a wildcard; at most 128 letters, digits and any of `_-.$/~\"'@:+&*?`",
        |text| text.len() <= PATTERN_MAX
            && text.starts_with(['/', '*', '?'])
            && text.bytes().all(is_pattern_sign);
    HostPattern: "host pattern of a load balancer",
        "write a host name such as `api.example.com` or `*.example.com`: at most 128 letters, \
         digits and any of `-_.*?`, only letters after the last dot",
        is_host_pattern;
    /// A path that a request can have.
    Path: "path",
        "write a path without wildcards that begins with `/`, such as `/health`",
        |text| text.len() <= BODY_MAX
            && text.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
    GroupName: "name of a target group",
        "write at most 32 letters, digits and hyphens, none at an end, not beginning `internal-`",
        |text| text.len() <= 32
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.starts_with("internal-");
    Body: "body of a fixed response",
        "write at most 1024 characters",
        |text| text.chars().count() <= BODY_MAX;
    Location: "address to redirect to",
        "begin with `https://`, `http://` or `#{protocol}://` and change something; \
         known parts: #{protocol}, #{host}, #{port}, #{path}, #{query}",
        is_location;
    Url: "address of a web server",
        "write `https://HOST/PATH` or `http://HOST:PORT/PATH`, without user or password",
        is_url;
    BaseUrl: "address of a load balancer",
        "write `https://HOST` or `http://HOST:PORT` and no path",
        |text| is_url(text) && text.splitn(4, '/').nth(3).is_none_or(str::is_empty);
}

fn is_pattern_sign(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.$/~\"'@:+&*?".contains(&byte)
}

fn is_host_pattern(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*?".contains(&byte);
    let letters =
        |last: &str| !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    text.len() <= PATTERN_MAX
        && text.bytes().all(sign)
        && text.rsplit_once('.').is_some_and(|(_, last)| letters(last))
}

pub(super) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(host) = rest.and_then(|rest| rest.split(['/', '?', '#']).next()) else {
        return false;
    };
    text.len() <= 2048
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !host.is_empty()
        && !host.starts_with(':')
        && !host.contains('@')
}

/// A target that repeats the request as it is would be asked for without end.
fn is_location(text: &str) -> bool {
    const SAME: &str = "#{protocol}://#{host}:#{port}/#{path}?#{query}";
    let part = |rest: &str| {
        let name = rest.split_once('}').map(|(name, _)| name);
        name.is_some_and(|name| ["protocol", "host", "port", "path", "query"].contains(&name))
    };
    let scheme = ["https://", "http://", "#{protocol}://"];
    let after = scheme.iter().find_map(|scheme| text.strip_prefix(scheme));
    text.len() <= BODY_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && after.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?']))
        && text.split("#{").skip(1).all(part)
        && text != SAME
}

/// How many wildcards a pattern holds.
pub(super) fn wildcards(pattern: &str) -> usize {
    pattern.bytes().filter(|byte| b"*?".contains(byte)).count()
}

/// The answers of a healthy target: `200`, `200,302` or `200-299`.
#[derive(Clone, Debug, schemars::JsonSchema)]
#[schemars(transparent, inline)]
pub(super) struct Expect(pub(super) String);

impl Read for Expect {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let code = |text: &str| {
            let code = text.parse::<u16>().ok().filter(|_| text.len() == 3);
            code.filter(|code| (200..=499).contains(code))
        };
        let range = |text: &str| match text.split_once('-') {
            Some((first, last)) => code(first).zip(code(last)).is_some_and(|(a, b)| a < b),
            None => code(text).is_some(),
        };
        let remedy = "write answers from 200 to 499 in quotes: \"200\", \"200,302\" or \"200-299\"";
        let what = ("answer of a healthy target", remedy);
        let fits = |text: &str| text.split(',').all(range);
        names::checked(node, path, problems, what, fits).map(Self)
    }
}

/// The value of an environment variable, which may be empty.
#[derive(Clone, Debug, schemars::JsonSchema)]
#[schemars(transparent, inline)]
pub(super) struct Environment(pub(super) String);

impl Read for Environment {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let (message, remedy) = match &node.value {
            Value::Text(text) if !text.chars().any(char::is_control) => {
                return Some(Self(text.clone()));
            }
            Value::Text(_) => {
                ("has control characters".to_owned(), "write it on one line".to_owned())
            }
            Value::Whole(number) => {
                (needs("text", &node.value), format!("write it in quotes: \"{number}\""))
            }
            other => (needs("text", other), "write it in quotes".to_owned()),
        };
        problems.add(node.place, path, message, remedy);
        None
    }
}
