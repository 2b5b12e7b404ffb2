//! A server that speaks the OpenAI-compatible chat protocol, as vLLM and lmdeploy do: who
//! answers or judges in place of a model here.

use super::finder::Finder;
use super::number::{Fraction, Positive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A `server` table. Without `url` there is none.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where it listens: `http://localhost:8000/v1`.
    pub url: Option<String>,
    /// The model's name there.
    pub model: Option<String>,
    /// Name of the environment variable that holds the key, where the server wants one. The
    /// key itself reaches no file.
    pub key_variable: String,
    /// Requests under way at a time.
    pub requests: usize,
    /// How often a request is made before its row fails.
    pub attempts: usize,
    /// How long an answer may take, in seconds.
    pub timeout_s: Positive,
    /// Share of a stage's rows that may fail for good, such as those that a filter of the server
    /// blocks: they are skipped, counted in stats.csv and warned of. By default one fails the
    /// stage. Answers and grades of benchmarks have none.
    pub failures: Option<Fraction>,
}

impl Server {
    /// Whether a server is to be asked.
    pub fn is_set(&self) -> bool {
        self.url.is_some()
    }

    /// Checks the table that stands at `key`.
    pub(super) fn check(&self, key: &str, find: &mut Finder) {
        find.at_least(&format!("{key}.requests"), self.requests, 1);
        find.at_least(&format!("{key}.attempts"), self.attempts, 1);
        match (&self.url, &self.model) {
            (None, Some(_)) => find.wrong(
                &format!("{key}.model"),
                format!("`{key}.model` names a model, but `{key}.url` no server"),
                "such as `url = \"http://localhost:8000/v1\"`",
            ),
            (Some(_), None) => find.wrong(
                &format!("{key}.url"),
                format!("`{key}.url` names a server, but `{key}.model` no model"),
                "its `/v1/models` lists them",
            ),
            _ => {}
        }
        let Some(url) = &self.url else { return };
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let key = format!("{key}.url");
        match rest.map(|rest| rest.split('/').next().unwrap_or_default()) {
            None | Some("") => find.wrong(
                &key,
                format!("`{key}` must begin with http:// or https:// and a host"),
                "such as `url = \"http://localhost:8000/v1\"`",
            ),
            Some(host) if host.contains('@') => find.wrong(
                &key,
                format!("`{key}` holds a name or password, which would be kept in files"),
                "take it out, put it into an environment variable and name that in `key_variable`",
            ),
            Some(_) => {}
        }
    }
}
