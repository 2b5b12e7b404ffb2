//! Rows that a server fails for good, judgements that are none, and seeds that do not meet.

use crate::server_stages::{described, table};
use crate::support::http::{Answer, Asked, Server, question, texts};
use crate::support::small::{Small, candidates};
use prefab::spec::candidates::Candidates;
use prefab::spec::embedded;
use prefab::spec::number::Fraction;
use prefab::spec::pairs::{Chosen, Consistency, Pairs, Source};
use prefab::spec::server::Server as Table;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn lenient(server: &Server, share: f64) -> Table {
    Table { failures: Some(Fraction::try_from(share).unwrap()), ..table(server) }
}

pub fn blocked() -> Answer {
    Answer::Json(json!({ "choices": [{
        "message": { "content": "" }, "finish_reason": "content_filter" }] }))
}

fn all(small: &Small, role: &str, metric: &str) -> Option<f64> {
    small.stats(role).get(&("all".to_owned(), metric.to_owned())).copied()
}

#[test]
fn a_share_of_the_questions_may_fail_and_is_counted() {
    let small = Small::new(&["count"], 12);
    let id = small.questions()[7].id.clone();
    let seed = prefab::server::seed(embedded().candidates.seed, "candidates", &id, 0);
    let server = Server::start(move |_, asked| match asked.body["seed"] == json!(seed) {
        true => blocked(),
        false => texts(&["one", "two", "three"]),
    });
    // Three questions a chunk: what may fail is counted over all of them.
    let strict = Candidates { server: table(&server), ..Candidates { batch: 1, ..candidates(3) } };
    let error = small.sample(&strict).unwrap_err().to_string();
    assert!(error.contains("ended by `content_filter`") && error.contains(&id), "{error}");
    // Of 12 questions, 8 % are none.
    let settings = Candidates { server: lenient(&server, 0.08), ..strict.clone() };
    assert!(small.sample(&settings).is_err());
    let settings = Candidates { server: lenient(&server, 0.1), ..strict };
    small.sample(&settings).unwrap();
    let answers = small.answers();
    assert_eq!(answers.len(), 33);
    assert!(answers.iter().all(|answer| answer.question != id));
    let table = String::from_utf8(small.bytes("candidates", "stats.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].ends_with(",mean_tokens,skipped"), "{table}");
    assert!(lines[1].starts_with("all,12,33,") && lines[1].ends_with(",1"), "{table}");
}

#[test]
fn two_failures_are_one_too_many_whichever_chunks_they_are_in() {
    let small = Small::new(&["count"], 12);
    let seeds = [0, 11].map(|at: usize| {
        let id = &small.questions()[at].id;
        prefab::server::seed(embedded().candidates.seed, "candidates", id, 0)
    });
    let server = Server::start(move |_, asked| {
        match seeds.contains(&asked.body["seed"].as_u64().unwrap()) {
            true => blocked(),
            false => texts(&["one", "two", "three"]),
        }
    });
    let settings = Candidates { server: lenient(&server, 0.1), batch: 1, ..candidates(3) };
    let error = small.sample(&settings).unwrap_err().to_string();
    assert!(error.contains("failed for 1 of") && error.contains("count-00011"), "{error}");
    // A server that refuses every row is no share of them.
    let server = Server::start(|_, _| Answer::Status(401, "", "who are you?".into()));
    let refused = Candidates { server: lenient(&server, 1.0), seed: 9, ..settings };
    std::fs::remove_dir_all(small.work("candidates")).unwrap();
    assert!(small.sample(&refused).unwrap_err().to_string().contains("status 401"));
}

#[test]
fn continuations_and_claims_that_failed_make_no_pairs() {
    let small = described();
    let server = Server::start(|before, asked: &Asked| {
        let text = asked.body["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        match before == 3 {
            true => blocked(),
            false => texts(&[&format!(" and {}", text.as_str().map_or(0, str::len))]),
        }
    });
    let mut settings = Pairs { sources: vec![Source::DropoutNtp], ..embedded().pairs.clone() };
    settings.dropout_ntp.server = Table { requests: 1, ..lenient(&server, 0.1) };
    let pairs = small.pair(&settings, "continued").unwrap();
    assert_eq!((pairs.len(), all(&small, "continued", "skipped_failed")), (23, Some(1.0)));

    let server = Server::start(|before, asked| match question(asked).contains(" red ") {
        _ if before == 5 => texts(&["I cannot see."]),
        red => texts(&[if red { "No" } else { "Yes" }]),
    });
    let mut settings =
        Pairs { sources: vec![Source::DivideAndConquer], ..embedded().pairs.clone() };
    settings.judge.server = Table { requests: 1, ..lenient(&server, 0.2) };
    settings.divide_and_conquer.balance = false;
    small.pair(&settings, "judged").unwrap();
    assert!(all(&small, "judged", "skipped_unjudged").is_some_and(|answers| answers >= 1.0));
    assert_eq!(all(&small, "judged", "claims"), Some(server.count() as f64 - 1.0));
}

#[test]
fn an_answer_whose_consistency_could_not_be_judged_is_not_chosen() {
    let small = Small::new(&["count", "exists"], 40);
    small.sample(&candidates(6)).unwrap();
    let server =
        Server::start(|before, _| texts(&[if before == 3 { "Who knows?" } else { "Yes" }]));
    let mut settings = embedded().pairs.clone();
    settings.correctness.consistency = Consistency::Judge;
    settings.judge.server = Table { requests: 1, ..lenient(&server, 0.1) };
    let all_pairs = small.pair(&embedded().pairs, "all").unwrap().len();
    let pairs = small.pair(&settings, "consistent").unwrap();
    assert!(!pairs.is_empty() && pairs.len() <= all_pairs);
    assert_eq!(all(&small, "consistent", "skipped_unjudged"), Some(1.0));
    assert_eq!(all(&small, "consistent", "inconsistent"), Some(0.0));
}

/// A reply with these likeliest first tokens.
fn likeliest(text: &str, tokens: &[(&str, f64)]) -> Answer {
    let top = |(token, p): &(&str, f64)| json!({ "token": token, "logprob": p.ln() });
    let tokens: Vec<Value> = tokens.iter().map(top).collect();
    Answer::Json(json!({ "choices": [{
        "message": { "content": text }, "finish_reason": "stop",
        "logprobs": { "content": [{ "token": "", "logprob": 0.0, "top_logprobs": tokens }] },
    }] }))
}

#[test]
fn a_word_that_is_hardly_likely_is_no_opinion() {
    let small = described();
    let judged = |name: &str, reply: fn() -> Answer| {
        let server = Server::start(move |_, _| reply());
        let mut settings =
            Pairs { sources: vec![Source::DivideAndConquer], ..embedded().pairs.clone() };
        settings.judge.server = table(&server);
        small.pair(&settings, name).map(|_| ()).unwrap_err().to_string()
    };
    let evades = || likeliest("I cannot see a picture.", &[("I", 0.9), ("No", 1e-6)]);
    let told = judged("evades", evades);
    assert!(told.contains("yes and no have 0 % of the first token's probability"), "{told}");
    assert!(told.contains("I cannot see"), "{told}");
    let unsure = || likeliest("No", &[("No", 0.3), ("Yes", 0.1), ("It", 0.29)]);
    assert!(judged("unsure", unsure).contains("have 40 %"));
    // A space in front of the word: what was written counts, and everything is denied or affirmed
    // alike, so that no two answers differ by what was denied of them.
    let spaced = || likeliest(" Yes", &[(" ", 0.99), ("No", 1e-3)]);
    assert!(judged("spaced", spaced).contains("no preference pairs"));
}

#[test]
fn no_two_requests_share_a_seed() {
    let small = described();
    let server = Server::start(|_, _| texts(&[" and a cow"]));
    let seeds = |seed: u64| -> Vec<u64> {
        let mut settings =
            Pairs { seed, sources: vec![Source::DropoutNtp], ..embedded().pairs.clone() };
        settings.dropout_ntp.of = Chosen::Any;
        settings.dropout_ntp.per_question = 2;
        settings.dropout_ntp.server = table(&server);
        let before = server.count();
        small.pair(&settings, &format!("seed-{seed}")).unwrap();
        let asked = server.asked.lock().unwrap();
        asked[before..].iter().map(|asked| asked.body["seed"].as_u64().unwrap()).collect()
    };
    let all: Vec<u64> = [seeds(0), seeds(1)].concat();
    let distinct: BTreeSet<&u64> = all.iter().collect();
    assert!(all.len() > 60 && distinct.len() == all.len(), "{} of {}", distinct.len(), all.len());
    assert!(all.iter().all(|&seed| i64::try_from(seed).is_ok()));
}

#[test]
fn a_refusal_behind_the_word_is_no_judgement() {
    let small = described();
    let judged = |name: &str, text: &'static str| {
        let server = Server::start(move |_, _| texts(&[text]));
        let mut settings =
            Pairs { sources: vec![Source::DivideAndConquer], ..embedded().pairs.clone() };
        settings.judge.server = table(&server);
        small.pair(&settings, name).map(|_| ()).unwrap_err().to_string()
    };
    let told = judged("refuses", "No, I cannot see the picture.");
    assert!(told.contains("no judgement: \"No, I cannot see"), "{told}");
    // All is affirmed alike, so that no two answers differ.
    let told = judged("affirms", "Yes, it cannot be missed.");
    assert!(told.contains("no preference pairs"), "{told}");
}
