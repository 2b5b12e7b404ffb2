//! The client against a real server that refuses, dawdles, breaks off, limits and lies: faults
//! cost retries, then the row; nothing stands in for a reply.

use crate::support::http::{Answer, Asked, Server, question, texts};
use prefab::server::{ANY, Chat, Client, Part, Reply};
use prefab::spec::number::Positive;
use prefab::spec::server::Server as Table;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

fn table(url: &str) -> Table {
    Table {
        url: Some(url.to_owned()),
        model: Some("m".to_owned()),
        key_variable: "PREFAB_TEST_NO_KEY".to_owned(),
        requests: 4,
        attempts: 3,
        timeout_s: Positive::try_from(5.0).unwrap(),
        failures: None,
    }
}

fn ask(text: &str) -> Chat {
    Chat::greedy(vec![Part::Text(text.to_owned())], 16)
}

fn client(server: &Server, replies: &Path) -> Client {
    Client::new(&table(&server.url), replies).unwrap()
}

fn only_text(reply: &Reply) -> &str {
    assert_eq!(reply.choices.len(), 1);
    &reply.choices[0].text
}

#[test]
fn a_question_goes_with_its_picture_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.png");
    image::RgbImage::new(2, 2).save(&picture).unwrap();
    let server = Server::start(|_, _| texts(&["red"]));
    let chat = Chat {
        system: Some("be brief".into()),
        prefix: "It is".into(),
        top_k: 50,
        stop: vec!["\n\n".into()],
        temperature: 1.0,
        seed: 7,
        ..Chat::greedy(
            Chat::parts("<image>\nWhat colour?", folder.path(), &["a.png".to_owned()]),
            16,
        )
    };
    let reply = client(&server, folder.path()).ask(&chat, ANY).unwrap();
    assert_eq!((only_text(&reply), reply.prompt_tokens, reply.completion_tokens), ("red", 7, 3));
    let asked = server.asked.lock().unwrap()[0].clone();
    assert_eq!((asked.path.as_str(), asked.authorization), ("/v1/chat/completions", None));
    let body = asked.body;
    assert_eq!(body["messages"][0], json!({ "role": "system", "content": "be brief" }));
    let parts = &body["messages"][1]["content"];
    let url = parts[0]["image_url"]["url"].as_str().unwrap();
    assert!(url.starts_with("data:image/png;base64,iVBOR"), "{url}");
    assert_eq!(parts[1], json!({ "type": "text", "text": "What colour?" }));
    assert_eq!(body["messages"][2], json!({ "role": "assistant", "content": "It is" }));
    assert_eq!(body["continue_final_message"], true);
    assert_eq!(body["add_generation_prompt"], false);
    for (key, value) in [
        ("model", json!("m")),
        ("n", json!(1)),
        ("temperature", json!(1.0)),
        ("top_k", json!(50)),
        ("max_tokens", json!(16)),
        ("seed", json!(7)),
        ("stop", json!(["\n\n"])),
    ] {
        assert_eq!(body[key], value, "{key}");
    }
}

#[test]
fn every_passing_fault_is_tried_again() {
    for fault in [
        || Answer::Closed,
        || Answer::CutOff,
        || Answer::Garbage,
        || Answer::Status(503, "", "loading".into()),
        || Answer::Status(429, "retry-after: 0\r\n", "slow down".into()),
        || Answer::Json(json!({ "choices": [] })),
        || {
            Answer::Json(
                json!({ "choices": [{ "message": { "content": null }, "finish_reason": "stop" }] }),
            )
        },
        || {
            Answer::Json(
                json!({ "choices": [{ "message": { "content": "x" }, "finish_reason": "content_filter" }] }),
            )
        },
        || Answer::Json(json!({ "error": { "message": "out of memory" } })),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server =
            Server::start(move |before, _| if before == 0 { fault() } else { texts(&["ok"]) });
        let reply = client(&server, folder.path()).ask(&ask("q"), ANY).unwrap();
        assert_eq!(only_text(&reply), "ok");
        assert_eq!(server.count(), 2);
    }
}

#[test]
fn a_slow_server_is_given_up_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| Answer::Late(Duration::from_secs(30)));
    let slow =
        Table { timeout_s: Positive::try_from(0.2).unwrap(), attempts: 2, ..table(&server.url) };
    let failure = Client::new(&slow, folder.path()).unwrap().ask(&ask("q"), ANY).unwrap_err();
    assert!(
        failure.message.contains("timeout") && failure.message.contains("2 attempts"),
        "{failure:?}"
    );
}

#[test]
fn a_refused_request_is_not_repeated_and_its_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| {
        Answer::Status(400, "", "max_tokens is too large\n for this model".into())
    });
    let failure = client(&server, folder.path()).ask(&ask("q"), ANY).unwrap_err();
    assert!(
        failure.message.contains("status 400: max_tokens is too large for this model"),
        "{failure:?}"
    );
    assert_eq!(server.count(), 1);
}

/// Fails for questions that say so.
fn failing(before: usize, asked: &Asked) -> Answer {
    let _ = before;
    let text = question(asked);
    if text.contains("bad") {
        Answer::Status(500, "", "no".into())
    } else {
        texts(&[&format!("re: {text}")])
    }
}

#[test]
fn the_rows_concerned_fail_and_the_others_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(failing);
    let quick = Table { attempts: 1, ..table(&server.url) };
    let chats: Vec<Chat> = (0..20)
        .map(|row| ask(&format!("{} {row}", if row % 7 == 3 { "bad" } else { "good" })))
        .collect();
    let client = Client::new(&quick, folder.path()).unwrap();
    let replies = client.ask_all(&chats, ANY, &|_, _| ());
    for (row, reply) in replies.iter().enumerate() {
        match reply {
            Ok(reply) => assert_eq!(only_text(reply), format!("re: good {row}")),
            Err(failure) => {
                assert!(row % 7 == 3 && failure.message.contains("status 500"), "{failure:?}")
            }
        }
    }
    let name = |row: usize| format!("row {row}");
    let error = client.ask_every(&chats, name, ANY, &|_, _| ()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("failed for 3 of 20 rows"), "{text}");
    assert!(text.contains("row 3: status 500") && text.contains("row 17"), "{text}");
    assert!(error.hint_text().unwrap().contains("run again"), "{error:?}");
    // 20 the first time; only the three that failed the second time.
    assert_eq!(server.count(), 23);
}

#[test]
fn a_server_that_is_gone_is_not_asked_for_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let url = Server::start(|_, _| Answer::Closed).url.clone();
    let gone = Table { attempts: 1, requests: 2, ..table(&url) };
    let chats: Vec<Chat> = (0..500).map(|row| ask(&row.to_string())).collect();
    let replies = Client::new(&gone, folder.path()).unwrap().ask_all(&chats, ANY, &|_, _| ());
    assert!(replies.iter().all(Result::is_err));
    let told = |text: &str| {
        replies
            .iter()
            .filter(|reply| reply.as_ref().is_err_and(|failure| failure.message.contains(text)))
            .count()
    };
    assert!(told("not asked") > 480, "{}", told("not asked"));
    assert!(told("no reply") >= 8, "{:?}", replies[0]);
}

#[test]
fn rows_that_are_refused_do_not_keep_others_from_being_asked() {
    // Refused by status, by the model, by a filter: the server is well.
    let choice = |content: serde_json::Value, finish: &str| {
        Answer::Json(json!({ "choices": [{ "message": { "content": content },
                                           "finish_reason": finish }] }))
    };
    let server = Server::start(move |_, asked| match question(asked).parse::<usize>().unwrap() {
        row if row >= 36 => texts(&["ok"]),
        row => match row % 3 {
            0 => Answer::Status(400, "", "not this picture".into()),
            1 => choice(json!(null), "stop"),
            _ => choice(json!("so"), "content_filter"),
        },
    });
    let folder = tempfile::tempdir().unwrap();
    let one_by_one = Table { requests: 1, attempts: 1, ..table(&server.url) };
    let chats: Vec<Chat> = (0..54).map(|row| ask(&row.to_string())).collect();
    let client = Client::new(&one_by_one, folder.path()).unwrap();
    let replies = client.ask_all(&chats, ANY, &|_, _| ());
    assert!(replies[..36].iter().all(Result::is_err));
    assert!(replies[36..].iter().all(Result::is_ok), "{:?}", replies[36]);
    // Replies that a check turns down come from a server that is well too.
    let unread = |reply: &Reply| Err(reply.choices[0].text.clone());
    let replies = Client::new(&one_by_one, &folder.path().join("other")).unwrap();
    let replies = replies.ask_all(&chats[36..], &unread, &|_, _| ());
    assert!(
        replies.iter().all(|reply| reply.as_ref().is_err_and(|why| why.message.contains("ok")))
    );
}

#[test]
fn replies_are_kept_by_prompt_model_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|before, _| texts(&[&before.to_string()]));
    let client = client(&server, folder.path());
    let said = |client: &Client, chat: &Chat| only_text(&client.ask(chat, ANY).unwrap()).to_owned();
    assert_eq!(said(&client, &ask("a")), "0");
    assert_eq!(said(&client, &ask("b")), "1");
    assert_eq!(said(&client, &ask("a")), "0");
    assert_eq!(said(&client, &Chat { temperature: 1.0, ..ask("a") }), "2");
    let other = Table { model: Some("n".into()), ..table(&server.url) };
    assert_eq!(said(&Client::new(&other, folder.path()).unwrap(), &ask("a")), "3");
    // Another process finds them too; a damaged one is asked again.
    let again = Client::new(&table(&server.url), folder.path()).unwrap();
    assert_eq!(said(&again, &ask("b")), "1");
    for entry in walk(folder.path()) {
        std::fs::write(entry, "{\"reply\": {\"choi").unwrap();
    }
    assert_eq!(said(&again, &ask("b")), "4");
    assert_eq!(server.count(), 5);
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn fewer_choices_than_wanted_are_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    // lmdeploy gives one choice, whatever `n` is.
    let server = Server::start(|_, asked| texts(&[&format!("seed {}", asked.body["seed"])]));
    let chat = Chat { choices: 3, seed: 40, temperature: 1.0, ..ask("q") };
    let reply = client(&server, folder.path()).ask(&chat, ANY).unwrap();
    let said: Vec<&str> = reply.choices.iter().map(|choice| choice.text.as_str()).collect();
    assert_eq!(said, ["seed 40", "seed 41", "seed 42"]);
    // More than wanted are cut off.
    let server = Server::start(|_, _| texts(&["a", "b", "c", "d", "e"]));
    let reply = client(&server, folder.path()).ask(&chat, ANY).unwrap();
    assert_eq!((reply.choices.len(), server.count()), (3, 1));
}

#[test]
fn a_reply_that_makes_no_sense_is_a_failure_and_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|before, _| texts(&[if before < 3 { "maybe" } else { "yes" }]));
    let client = client(&server, folder.path());
    let yes_or_no = |reply: &Reply| match reply.choices[0].text.as_str() {
        "yes" | "no" => Ok(()),
        other => Err(format!("neither: {other}")),
    };
    let failure = client.ask(&ask("q"), &yes_or_no).unwrap_err();
    assert!(failure.message.contains("neither: maybe (3 attempts)"), "{failure:?}");
    assert_eq!(only_text(&client.ask(&ask("q"), &yes_or_no).unwrap()), "yes");
}

#[test]
fn the_key_comes_from_the_environment_and_is_in_no_file_or_message() {
    const SECRET: &str = "sk-very-secret-1234";
    // SAFETY: no other test of this process reads or writes this variable.
    unsafe { std::env::set_var("PREFAB_TEST_KEY", SECRET) };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, asked| match &asked.authorization {
        Some(key) if question(asked) == "good" => texts(&[&format!("{} characters", key.len())]),
        key => Answer::Status(401, "", format!("wrong key {key:?}")),
    });
    let keyed = Table { key_variable: "PREFAB_TEST_KEY".into(), ..table(&server.url) };
    let client = Client::new(&keyed, folder.path()).unwrap();
    let reply = client.ask(&ask("good"), ANY).unwrap();
    assert_eq!(only_text(&reply), format!("{} characters", "Bearer ".len() + SECRET.len()));
    let chats: Vec<Chat> = (0..30).map(|row| ask(&row.to_string())).collect();
    let error = client.ask_every(&chats, |row| row.to_string(), ANY, &|_, _| ()).unwrap_err();
    let told = format!("{error} {error:?} {client:?} {:?}", error.hint_text());
    assert!(told.contains("status 401") && told.contains("***"), "{told}");
    assert!(told.contains("PREFAB_TEST_KEY") && !told.contains(SECRET), "{told}");
    // A refused key is refused for every row: the rest is not asked.
    assert!(server.count() <= 1 + 4, "{}", server.count());
    for file in walk(folder.path()) {
        assert!(!std::fs::read_to_string(&file).unwrap().contains(SECRET), "{}", file.display());
    }
}

#[test]
fn a_good_status_hides_no_key_either() {
    const SECRET: &str = "sk-very/secret-5678";
    // SAFETY: no other test of this process reads or writes this variable.
    unsafe { std::env::set_var("PREFAB_TEST_ECHOED_KEY", format!("{SECRET}\n")) };
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(40);
    let reply = move |_: usize, asked: &Asked| match question(asked).as_str() {
        "error" => {
            Answer::Json(json!({ "error": { "message": format!("no credit for {SECRET}") } }))
        }
        "reason" => Answer::Json(json!({ "choices": [{
            "message": { "content": "x" }, "finish_reason": format!("blocked {SECRET}") }] })),
        "status" => {
            Answer::Status(400, "", format!("{{\"key\": \"{}\"}}", SECRET.replace('/', "\\/")))
        }
        "checked" => texts(&[&format!("{long} {SECRET}")]),
        _ => texts(&[&format!("I was given {SECRET}")]),
    };
    let server = Server::start(reply);
    let keyed =
        Table { key_variable: "PREFAB_TEST_ECHOED_KEY".into(), attempts: 1, ..table(&server.url) };
    let client = Client::new(&keyed, folder.path()).unwrap();
    for text in ["error", "reason", "status"] {
        let told = client.ask(&ask(text), ANY).unwrap_err().message;
        assert!(told.contains("***") && !told.contains("secret"), "{told}");
    }
    // What a check quotes a part of holds no part of the key.
    let short = |reply: &Reply| Err(reply.choices[0].text.chars().take(50).collect());
    let told = client.ask(&ask("checked"), &short).unwrap_err().message;
    assert!(!told.contains("sk-"), "{told}");
    assert_eq!(only_text(&client.ask(&ask("answer"), ANY).unwrap()), "I was given ***");
    let files = walk(folder.path());
    assert_eq!(files.len(), 1);
    assert!(!std::fs::read_to_string(&files[0]).unwrap().contains("secret"));
    assert_eq!(
        server.asked.lock().unwrap()[0].authorization.as_deref(),
        Some(format!("Bearer {SECRET}").as_str())
    );
}

#[test]
fn a_short_key_is_a_placeholder_that_answers_may_hold() {
    // SAFETY: no other test of this process reads or writes this variable.
    unsafe { std::env::set_var("PREFAB_TEST_SHORT_KEY", "EMPTY") };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| texts(&["the box is EMPTY"]));
    let keyed = Table { key_variable: "PREFAB_TEST_SHORT_KEY".into(), ..table(&server.url) };
    let client = Client::new(&keyed, folder.path()).unwrap();
    assert_eq!(only_text(&client.ask(&ask("q"), ANY).unwrap()), "the box is EMPTY");
}
