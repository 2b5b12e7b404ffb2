//! Stages that a server works for: candidates, continuations, opinions; and candidates that
//! InternVL's own sampler wrote.

use crate::support::http::{Answer, Asked, Server, question, texts};
use crate::support::real::rooted;
use crate::support::small::{Small, candidates};
use crate::support::{Project, assert_code};
use prefab::data::record::Verdict;
use prefab::pairs::dropout_ntp::kept;
use prefab::spec::candidates::{Candidates, Prompt};
use prefab::spec::embedded;
use prefab::spec::pairs::{Consistency, Pairs, Source};
use prefab::spec::server::Server as Table;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub fn table(server: &Server) -> Table {
    Table {
        url: Some(server.url.clone()),
        model: Some("m".to_owned()),
        attempts: 1,
        ..embedded().candidates.server.clone()
    }
}

fn pictures(asked: &Asked) -> usize {
    let contents = asked.body["messages"].as_array().unwrap().iter().map(|m| &m["content"]);
    let parts = contents.filter_map(Value::as_array).flatten();
    parts.filter(|part| part["type"] == "image_url").count()
}

#[test]
fn a_server_samples_candidates_and_only_failed_questions_are_asked_again() {
    let small = Small::new(&["count"], 12);
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let breaks = broken.clone();
    let seed = embedded().candidates.seed;
    let seeds = ["train-count-00002", "train-count-00005"]
        .map(|id| prefab::server::seed(seed, "candidates", id, 0));
    let server = Server::start(move |_, asked| {
        let seed = asked.body["seed"].as_u64().unwrap();
        if breaks.load(std::sync::atomic::Ordering::SeqCst) && seeds.contains(&seed) {
            return Answer::Status(500, "", "no".into());
        }
        let right = "red circle 1.\nred circles: 1.\nFinal answer: 1";
        texts(&[right, &format!("seed {seed}"), "a\nb\nFinal answer: 40"])
    });
    let settings = Candidates { server: table(&server), ..candidates(3) };
    let error = small.sample(&settings).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("failed for 2 of 12 rows"), "{text}");
    assert!(text.contains("question train-count-00002: status 500"), "{text}");
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    small.sample(&settings).unwrap();
    assert_eq!(server.count(), 12 + 2, "ten replies were kept");
    let answers = small.answers();
    assert_eq!(answers.len(), 36);
    for (three, question) in answers.chunks(3).zip(small.questions()) {
        assert!(three.iter().all(|answer| answer.question == question.id && answer.ended));
        let samples: Vec<usize> = three.iter().map(|answer| answer.sample).collect();
        assert_eq!(samples, [0, 1, 2]);
        assert_eq!(three[1].verdict, Some(Verdict::Unparsable));
        assert_eq!(three[2].verdict, Some(Verdict::Wrong));
        let right = question.answer.as_deref() == Some("1");
        assert_eq!(three[0].verdict == Some(Verdict::Right), right);
    }
    let asked = server.asked.lock().unwrap();
    assert!(asked.iter().all(|asked| pictures(asked) == 1 && asked.body["n"] == 3));
    // A server follows instructions, whatever the base here was taught.
    assert!(question(&asked[0]).contains("\nReason step by step"), "{}", question(&asked[0]));
}

pub fn described() -> Small {
    let small = Small::new(&["describe"], 24);
    small.sample(&Candidates { open_prompt: None, ..candidates(4) }).unwrap();
    small
}

#[test]
fn a_server_goes_on_from_the_kept_words_without_the_picture() {
    let small = described();
    let server = Server::start(|_, _| texts(&[" and a purple elephant"]));
    let mut settings = Pairs { sources: vec![Source::DropoutNtp], ..embedded().pairs.clone() };
    settings.dropout_ntp.server = table(&server);
    let pairs = small.pair(&settings, "continued").unwrap();
    assert_eq!(pairs.len(), 24);
    for pair in &pairs {
        let expected = format!("{} and a purple elephant", kept(&pair.chosen, 0.5));
        assert_eq!(pair.rejected, expected);
    }
    for asked in server.asked.lock().unwrap().iter() {
        let messages = asked.body["messages"].as_array().unwrap();
        assert_eq!(pictures(asked), 0);
        assert!(!question(asked).contains("<image>"));
        let last = messages.last().unwrap();
        assert_eq!(last["role"], "assistant");
        assert!(pairs.iter().any(|pair| last["content"] == kept(&pair.chosen, 0.5)));
        assert_eq!(asked.body["continue_final_message"], true);
    }
    settings.dropout_ntp.image = true;
    small.pair(&settings, "seen").unwrap();
    assert_eq!(pictures(server.asked.lock().unwrap().last().unwrap()), 1);
}

/// Denies red things, by the probabilities of the first token.
fn denies_red(asked: &Asked) -> Answer {
    let yes: f64 = if question(asked).contains(" red ") { 0.2 } else { 0.64 };
    let top = |token: &str, p: f64| json!({ "token": token, "logprob": p.ln() });
    // Upper and lower case count together: 0.32 + 0.32 of yes, or 0.1 + 0.1, against 0.31 of no.
    let tokens = [top("Yes", yes / 2.0), top(" yes", yes / 2.0), top("No", 0.31), top("It", 0.05)];
    Answer::Json(json!({ "choices": [{
        "message": { "content": "It depends" }, "finish_reason": "length",
        "logprobs": { "content": [{ "token": "It", "logprob": -1.0, "top_logprobs": tokens }] },
    }] }))
}

#[test]
fn a_servers_probabilities_decide_about_claims() {
    let small = described();
    let server = Server::start(|_, asked| denies_red(asked));
    let mut settings =
        Pairs { sources: vec![Source::DivideAndConquer], ..embedded().pairs.clone() };
    settings.judge.server = table(&server);
    settings.divide_and_conquer.balance = false;
    let pairs = small.pair(&settings, "judged").unwrap();
    assert!(!pairs.is_empty());
    let reds = |text: &str| {
        let objects = ["red circle", "red square", "red triangle"];
        objects.iter().filter(|object| text.contains(*object)).count()
    };
    assert!(pairs.iter().all(|pair| reds(&pair.rejected) > reds(&pair.chosen)));
    let asked = server.asked.lock().unwrap();
    let claims: Vec<String> = asked.iter().map(question).collect();
    assert!(claims.iter().all(|claim| claim.starts_with("Is there a ")), "{:?}", claims[0]);
    assert!(claims[0].ends_with("in the picture?\nPlease answer Yes or No."));
    assert!(asked.iter().all(|asked| pictures(asked) == 1 && asked.body["logprobs"] == true));
    drop(asked);
    let denied = small.stats("judged")[&("all".into(), "claims_denied".into())];
    let red = claims.iter().filter(|claim| claim.contains(" red ")).count();
    assert_eq!(denied, red as f64 / claims.len() as f64);
}

#[test]
fn a_judge_that_evades_or_is_gone_fails_the_rows_and_gives_no_pairs() {
    let small = described();
    let mut settings =
        Pairs { sources: vec![Source::DivideAndConquer], ..embedded().pairs.clone() };
    let server = Server::start(|_, asked| match question(asked).contains(" red ") {
        true => texts(&["Perhaps."]),
        false => texts(&["Yes, there is."]),
    });
    settings.judge.server = table(&server);
    let error = small.pair(&settings, "evading").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("neither yes nor no: \"Perhaps.\""), "{text}");
    assert!(text.contains("Is there a red"), "the row is named: {text}");
    assert!(!small.path("evading").join("pairs.jsonl").exists());
    let url = server.url.clone();
    drop(server);
    settings.judge.server.url = Some(url);
    settings.judge.server.model = Some("another".into());
    let error = small.pair(&settings, "gone").unwrap_err();
    assert!(error.to_string().contains("no reply"), "{error}");
}

#[test]
fn free_text_is_judged_sentence_by_sentence_or_as_the_judge_divides_it() {
    let small = Small::new(&["describe"], 2);
    let answer = |sample: usize, text: &str| {
        let id = &small.questions()[0].id;
        json!({ "question": id, "prompt": "open", "sample": sample, "text": text, "tokens": 9, "ended": true })
    };
    let two = [
        answer(0, "A dog runs. A cat sleeps."),
        answer(1, "A dog runs. A green cow flies over it."),
    ];
    std::fs::create_dir_all(small.path("candidates")).unwrap();
    let lines: String = two.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(small.path("candidates").join("candidates.jsonl"), lines).unwrap();
    // As questions from files have it: nothing is known about the picture.
    let mut questions = small.questions();
    for question in &mut questions {
        (question.generated, question.answer) = (None, None);
    }
    prefab::data::questions::write_questions(&small.path("corpus").join("train.jsonl"), &questions)
        .unwrap();
    let server = Server::start(|_, asked| match question(asked) {
        text if text.starts_with("Below are a question") => texts(&[if text.contains("cow") {
            "- A dog runs.\n- A cow flies.\n- It is green."
        } else {
            "1. A dog runs."
        }]),
        text if text.contains("cow") || text.contains("green") => texts(&["No."]),
        _ => texts(&["**Yes**"]),
    });
    let mut settings =
        Pairs { sources: vec![Source::DivideAndConquer], ..embedded().pairs.clone() };
    settings.judge.server = table(&server);
    settings.divide_and_conquer.balance = false;
    let by_rules = small.pair(&settings, "rules").unwrap();
    assert_eq!(by_rules.len(), 1);
    assert_eq!(by_rules[0].chosen, "A dog runs. A cat sleeps.");
    let meta = by_rules[0].rejected_meta.as_ref().unwrap();
    assert_eq!(
        (&meta["claims"], &meta["denied"]),
        (&json!(2), &json!(["A green cow flies over it."]))
    );
    settings.divide_and_conquer.split = prefab::spec::pairs::Split::Judge;
    let by_judge = small.pair(&settings, "judge").unwrap();
    let meta = by_judge[0].rejected_meta.as_ref().unwrap();
    assert_eq!(meta["denied"], json!(["A cow flies.", "It is green."]));
    // One claim of two answers is asked once: a dog, a cow, green.
    let cost = small.kinds("judge", "divide_and_conquer", "all", "tokens_a_pair");
    // 9 + 9 sampled tokens, two lists of 3, three words of the judge.
    assert_eq!(cost, "27");
}

#[test]
fn a_judge_drops_right_answers_that_it_finds_inconsistent() {
    let small = Small::new(&["count", "exists"], 40);
    small.sample(&candidates(6)).unwrap();
    let mut settings = embedded().pairs.clone();
    let plain = small.pair(&settings, "all").unwrap();
    let server = Server::start(|_, asked| {
        assert_eq!(pictures(asked), 0, "the text alone is judged");
        let said = if question(asked).contains("red") { "No" } else { "Yes" };
        texts(&[said])
    });
    settings.correctness.consistency = Consistency::Judge;
    settings.judge.server = table(&server);
    let kept = small.pair(&settings, "consistent").unwrap();
    assert!(!kept.is_empty() && kept.len() < plain.len());
    let says_red = |pair: &prefab::data::record::Pair| {
        pair.chosen.contains("red") || pair.question.contains("red")
    };
    assert!(kept.iter().all(|pair| !says_red(pair)));
    let share = small.stats("consistent")[&("all".into(), "inconsistent".into())];
    assert!(share > 0.0 && share < 1.0, "{share}");
}

#[test]
fn answers_of_internvls_own_sampler_are_read() {
    let small = Small::new(&["count"], 4);
    let questions = small.questions();
    let row = |at: usize, response: &str, version: &str| {
        let question = &questions[at];
        json!({
            // The sampler's root is another.
            "image": format!("/data/pictures/{}", question.images[0].trim_start_matches("images/")),
            "question_orig": format!("<image>\n{}\nAnswer the question using a single word or phrase.", question.question),
            "question": format!("<image>\nYour task is to answer the question below.\n{}", question.question),
            "answer": question.answer,
            "response": response,
            "prompt_version": version,
        })
    };
    let known = questions[1].answer.clone().unwrap();
    let folder = small.folder.path().join("samples");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, rows: &[Value]| {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(folder.join(name), text).unwrap();
    };
    write(
        "a.jsonl",
        &[
            row(1, &format!("one\ntwo\nFinal answer: {known}"), "en"),
            row(0, "no answer", "en"),
            row(1, &format!("So it is.\nAnswer: \\boxed{{{known}}}"), "en_v2"),
        ],
    );
    write("b.jsonl", &[row(1, "a\nb\nFinal answer: 77", "en")]);
    let settings =
        Candidates { import: Some(folder.to_str().unwrap().to_owned()), ..candidates(8) };
    small.sample(&settings).unwrap();
    let found: Vec<(String, usize, Prompt, Option<Verdict>)> = small
        .answers()
        .into_iter()
        .map(|answer| (answer.question, answer.sample, answer.prompt, answer.verdict))
        .collect();
    let (zero, one) = (questions[0].id.clone(), questions[1].id.clone());
    assert_eq!(
        found,
        [
            (zero, 0, Prompt::Cot, Some(Verdict::Unparsable)),
            (one.clone(), 0, Prompt::Cot, Some(Verdict::Right)),
            (one.clone(), 1, Prompt::Boxed, Some(Verdict::Right)),
            (one, 2, Prompt::Cot, Some(Verdict::Wrong)),
        ]
    );
    // Plain rows were asked as the table says.
    let plain = |at: usize, prompt: &str| json!({ "prompt": prompt, "images": [questions[at].images[0]], "response": known });
    write("c.jsonl", &[plain(1, &questions[1].question)]);
    small.sample(&Candidates { prompt: Prompt::Direct, ..settings.clone() }).unwrap();
    let answer = small.answers().pop().unwrap();
    assert_eq!((answer.sample, answer.prompt), (3, Prompt::Direct));
    assert_eq!(answer.verdict, Some(Verdict::Right));
    let mut stranger = row(2, "x", "en");
    stranger["question_orig"] = "Who is this?".into();
    write(
        "c.jsonl",
        &[row(2, "x", "en_r1"), stranger, json!({ "question": "q" }), json!({ "response": "2" })],
    );
    let error = small.sample(&settings).unwrap_err().to_string();
    for told in [
        "4 bad rows",
        "c.jsonl:1: `prompt_version` is `en_r1`, whose answers think between tags",
        "c.jsonl:2: no question of the corpus has the text \"Who is this?\"",
        "c.jsonl:3: missing field `response`",
        "c.jsonl:4: it has neither `question` nor `prompt`",
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
}

#[test]
fn a_stop_string_ends_an_answer_and_is_no_part_of_it() {
    let small = Small::new(&["count"], 20);
    small.sample(&candidates(4)).unwrap();
    let whole: BTreeMap<(String, usize), String> = small
        .answers()
        .into_iter()
        .map(|answer| ((answer.question, answer.sample), answer.text))
        .collect();
    let settings = Candidates { stop: vec!["\nFinal".into(), " 4".into()], ..candidates(4) };
    small_again(&small).sample(&settings).unwrap();
    let mut stopped = 0;
    for answer in small.answers() {
        let text = &whole[&(answer.question.clone(), answer.sample)];
        let cut = [text.find("\nFinal"), text.find(" 4")].into_iter().flatten().min();
        assert_eq!(answer.text, text[..cut.unwrap_or(text.len())], "{text:?}");
        assert!(cut.is_none() || answer.ended);
        stopped += usize::from(cut.is_some());
    }
    assert!(stopped > 70, "{stopped} of 80");
}

/// The same store, its sampling forgotten.
fn small_again(small: &Small) -> &Small {
    std::fs::remove_dir_all(small.work("candidates")).unwrap();
    small
}

#[test]
fn replies_are_kept_for_every_later_stage() {
    let server = Server::start(|_, asked| {
        let last = asked.body["messages"].as_array().unwrap().last().unwrap();
        match last["role"] == "assistant" {
            true => texts(&[" and a cow"]),
            false => texts(&["one two three four", "five six seven eight"]),
        }
    });
    let there = format!("{{ url = {:?}, model = \"m\" }}", server.url);
    let project = Project::real(&rooted(&format!(
        "schema = 1\nmodel.checkpoint = \"ROOT/experiments/base\"\nloss.algorithm = \"mpo\"\n\
         corpus = {{ base = 0, train = 6, validation = 0, test = 4, tasks = [\"count\"] }}\n\
         candidates = {{ per_question = 2, server = {there} }}\n\
         pairs.sources = [\"dropout_ntp\"]\n\
         pairs.dropout_ntp = {{ of = \"any\", server = {there} }}\n\
         eval.benchmarks = [\"reasoning\"]\n",
    )));
    assert_code(&project.run(&["--until", "pairs"]), 0);
    assert_eq!(server.count(), 6 + 6, "an answer of each question is continued");
    let output = project.run(&["--until", "pairs", "--set", "pairs.max=3"]);
    assert_code(&output, 0);
    assert_eq!(server.count(), 6 + 6, "another pairs stage asks nothing again");
    assert!(project.path(".prefab/replies").is_dir());
}
