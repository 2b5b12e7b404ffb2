//! A small HTTP server that speaks as a test wants it to, faults included.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a request gets.
pub enum Answer {
    /// Status 200 with this JSON.
    Json(Value),
    /// Another status, header lines and body.
    Status(u16, &'static str, String),
    /// Nothing for so long, then the connection is closed.
    Late(Duration),
    /// The connection is closed at once.
    Closed,
    /// The headers of a longer body than what comes.
    CutOff,
    /// Status 200 with a body that is no JSON.
    Garbage,
}

/// What a request said.
#[derive(Clone)]
pub struct Asked {
    pub path: String,
    pub authorization: Option<String>,
    pub body: Value,
}

type Behaviour = dyn Fn(usize, &Asked) -> Answer + Send + Sync;

/// Listens on a port of its own until it is dropped.
pub struct Server {
    pub url: String,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `behaviour` is given how many requests came before, and the request.
    pub fn start(behaviour: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stops = Arc::new(AtomicBool::new(false));
        let (seen, over) = (asked.clone(), stops.clone());
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        let count = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, behaviour, count) = (seen.clone(), behaviour.clone(), count.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &seen, &*behaviour, &count));
            }
        });
        Self { url: format!("http://{address}/v1"), asked, stops, thread: Some(thread) }
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
        let address = self.url.trim_start_matches("http://").trim_end_matches("/v1");
        let _ = TcpStream::connect(address);
        let _ = self.thread.take().unwrap().join();
    }
}

/// One request a connection.
fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Asked>>,
    behaviour: &Behaviour,
    count: &AtomicUsize,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let asked = Asked { path, authorization, body: serde_json::from_slice(&body).unwrap() };
    let before = count.fetch_add(1, Ordering::SeqCst);
    seen.lock().unwrap().push(asked.clone());
    let mut send = |status: u16, headers: &str, body: &str, length: usize| {
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n{headers}\r\n"
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    };
    match behaviour(before, &asked) {
        Answer::Json(value) => {
            let text = value.to_string();
            send(200, "", &text, text.len());
        }
        Answer::Status(status, headers, text) => send(status, headers, &text, text.len()),
        Answer::Garbage => send(200, "", "<html>busy</html>", 17),
        Answer::CutOff => send(200, "", "{\"choices\": [", 5000),
        Answer::Late(wait) => std::thread::sleep(wait),
        Answer::Closed => {}
    }
}

/// A good reply with these texts.
pub fn texts(texts: &[&str]) -> Answer {
    let choice = |(index, text): (usize, &&str)| {
        json!({ "index": index, "message": { "role": "assistant", "content": text },
                "finish_reason": "stop" })
    };
    let choices: Vec<Value> = texts.iter().enumerate().map(choice).collect();
    Answer::Json(json!({ "choices": choices,
                         "usage": { "prompt_tokens": 7, "completion_tokens": 3 } }))
}

/// The text parts of a request's last user message.
pub fn question(asked: &Asked) -> String {
    let messages = asked.body["messages"].as_array().unwrap();
    let user = messages.iter().rev().find(|message| message["role"] == "user").unwrap();
    match &user["content"] {
        Value::String(text) => text.clone(),
        parts => {
            let texts = parts.as_array().unwrap().iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
    }
}
