//! One attempt at a request, and what its failure means.

use super::Reply;
use super::chat::is_refusal;
use std::time::{Duration, SystemTime};
use ureq::http::StatusCode;
use ureq::{Agent, Proxy};

/// Longest reply that is read, in bytes.
const LONGEST_REPLY: u64 = 64 << 20;
/// How much of a refusal is quoted, in characters.
const QUOTED: usize = 200;
/// A shorter key is a placeholder such as `EMPTY`, which servers here take: no secret, and a word
/// that an answer may well hold.
const SHORTEST_SECRET: usize = 8;

/// Posts to one server.
pub struct Http {
    agent: Agent,
    url: String,
    key: Option<String>,
}

/// Why an attempt failed.
#[derive(Debug)]
pub struct Fault {
    /// In a sentence fragment, without the key.
    pub message: String,
    /// Whether a further attempt may succeed.
    pub may_heal: bool,
    /// Whether every other request would fail alike.
    pub concerns_all: bool,
    /// Whether it is about what was asked, and tells nothing of the server's health.
    pub is_about_row: bool,
    /// How long the server asks to wait.
    pub wait: Option<Duration>,
}

impl Fault {
    /// One that a further attempt may mend.
    pub fn passing(message: String, wait: Option<Duration>) -> Self {
        Self { message, may_heal: true, concerns_all: false, is_about_row: false, wait }
    }

    /// One that stays.
    pub fn lasting(message: String) -> Self {
        Self { message, may_heal: false, concerns_all: false, is_about_row: true, wait: None }
    }

    /// A reply that another attempt may better, from a server that is well.
    pub fn of_row(message: String) -> Self {
        Self { is_about_row: true, ..Self::passing(message, None) }
    }

    /// A reply that is none of the protocol's, or the model's refusal to write one.
    pub fn of_reply(message: String) -> Self {
        if is_refusal(&message) { Self::of_row(message) } else { Self::passing(message, None) }
    }
}

impl Http {
    /// For the chat completions below `url`.
    pub fn new(url: &str, key: Option<String>, timeout: Duration) -> Self {
        let url = format!("{}/chat/completions", url.trim_end_matches('/'));
        let host = url.split('/').nth(2).unwrap_or_default();
        let is_local = ["localhost", "127.", "[::1]"].iter().any(|name| host.starts_with(name));
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_idle_connections_per_host(64)
            .proxy(if is_local { None } else { Proxy::try_from_env() })
            .build();
        Self { agent: config.into(), url, key }
    }

    /// The body of a good reply.
    pub fn post(&self, body: &str) -> Result<String, Fault> {
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let passing = |doing: &str, error: ureq::Error| {
            Fault::passing(self.clean(&format!("{doing}: {error}")), None)
        };
        let mut response = request.send(body).map_err(|error| passing("no reply", error))?;
        let status = response.status();
        let wait = response.headers().get("retry-after");
        let wait = wait.and_then(|header| wait_of(header.to_str().ok()?.trim()));
        let text = response.body_mut().with_config().limit(LONGEST_REPLY).read_to_string();
        if status.is_success() {
            return text.map_err(|error| passing("the reply broke off", error));
        }
        let said: String =
            text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = self.clean(&said).chars().take(QUOTED).collect();
        let message = format!("status {}: {said}", status.as_u16());
        let may_heal = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT
                    | StatusCode::CONFLICT
                    | StatusCode::TOO_EARLY
                    | StatusCode::TOO_MANY_REQUESTS
            );
        let concerns_all = matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::PAYMENT_REQUIRED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::GONE
        );
        let is_about_row = !may_heal && !concerns_all;
        Err(Fault { message, may_heal, concerns_all, is_about_row, wait })
    }

    /// A text without the key, should the server have sent it back; a body that is quoted as it
    /// came may have its slashes escaped.
    pub fn clean(&self, text: &str) -> String {
        match &self.key {
            Some(key) => text.replace(key.as_str(), "***").replace(&key.replace('/', "\\/"), "***"),
            None => text.to_owned(),
        }
    }

    /// A reply without the key: what was said is quoted, and kept in files.
    pub fn cleaned(&self, mut reply: Reply) -> Reply {
        if self.key.as_ref().is_some_and(|key| key.len() >= SHORTEST_SECRET) {
            reply.texts().for_each(|text| *text = self.clean(text));
        }
        reply
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("url", &self.url).finish_non_exhaustive()
    }
}

/// How long `Retry-After` asks to wait: seconds, or a date.
fn wait_of(header: &str) -> Option<Duration> {
    match header.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        // One that has passed asks for no wait.
        Err(_) => Some(
            httpdate::parse_http_date(header)
                .ok()?
                .duration_since(SystemTime::now())
                .unwrap_or_default(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_seconds_or_until_a_date() {
        assert_eq!(wait_of("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(wait_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = SystemTime::now() + Duration::from_secs(60);
        let wait = wait_of(&httpdate::fmt_http_date(soon)).unwrap();
        assert!((58..=60).contains(&wait.as_secs()), "{wait:?}");
        for none in ["soon", "-1", "NaN", ""] {
            assert_eq!(wait_of(none), None, "{none}");
        }
    }
}
