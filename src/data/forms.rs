//! Preference pairs in the forms that others write, a row at a time.
//!
//! | form | keys |
//! |---|---|
//! | MMPR | `question`, `chosen`, `rejected`, `image` |
//! | RLAIF-V | the same, and the picture's path in `image_path` |
//! | TRL | `prompt`, `chosen`, `rejected`, `images`: texts, or lists of messages; `prompt` may be left out where both lists begin with it |
//! | two responses | `prompt` or `question`, `response_1`, `response_2`, and `preference`, 1 or 2 |
//!
//! A row's keys say which it is. To add a form, add its keys to [`Form::of`] and an arm to
//! [`read`].

use super::record::{Images, Pair, known_answer};
use super::template::IMAGE;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// What a row's keys say that it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// MMPR's own record.
    Mmpr,
    /// Question, two answers, and a path in `image_path`.
    RlaifV,
    /// A prompt, two answers, and a list of pictures.
    Trl,
    /// Two answers and which is preferred.
    Responses,
}

/// The keys that tell forms apart.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Keys {
    prompt: Option<IgnoredAny>,
    question: Option<IgnoredAny>,
    images: Option<IgnoredAny>,
    image_path: Option<IgnoredAny>,
    response: Option<IgnoredAny>,
    response_1: Option<IgnoredAny>,
    preference: Option<IgnoredAny>,
    chosen: Option<Value>,
    video: Option<Value>,
    videos: Option<Value>,
}

impl Keys {
    /// Whether a row is about a film; an empty field is none.
    fn has_video(&self) -> bool {
        let is_empty = |value: &Value| {
            value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty)
        };
        [&self.video, &self.videos].into_iter().flatten().any(|value| !is_empty(value))
    }
}

impl Form {
    /// The form of a row: a JSON object.
    ///
    /// # Errors
    ///
    /// A row with one answer, which is no pair, or about a video.
    pub fn of(text: &[u8]) -> Result<Self, String> {
        // What is no JSON is MMPR's to complain about, with its column.
        let Ok(keys) = serde_json::from_slice::<Keys>(text) else { return Ok(Self::Mmpr) };
        if keys.has_video() {
            return Err(
                "it is about a video, and pictures are read: name its frames in `image`".into()
            );
        }
        if keys.response_1.is_some() || keys.preference.is_some() {
            return Ok(Self::Responses);
        }
        if keys.response.is_some() && keys.chosen.is_none() {
            return Err("it has one answer, `response`, and a pair has two: name the file in \
                        `candidates.import`, and its questions with their known answers in \
                        `corpus.files`, for pairs of right and wrong ones"
                .into());
        }
        let is_list = keys.chosen.is_some_and(|chosen| chosen.is_array());
        if keys.prompt.is_some() || keys.images.is_some() || is_list {
            return Ok(Self::Trl);
        }
        match keys.image_path.is_some() && keys.question.is_some() {
            true => Ok(Self::RlaifV),
            false => Ok(Self::Mmpr),
        }
    }
}

/// A row of another form than MMPR's as a pair. A text without markers about several pictures has
/// them put in front.
///
/// # Errors
///
/// What is missing, or not what it should be.
pub fn read(form: Form, row: &Map<String, Value>) -> Result<Pair, String> {
    let mut pair = match form {
        Form::Mmpr => serde_json::from_value(row.clone().into()).map_err(|error| error.to_string()),
        Form::RlaifV => rlaif_v(row),
        Form::Trl => trl(row),
        Form::Responses => responses(row),
    }?;
    let (images, markers) = (pair.image.0.len(), pair.question.matches(IMAGE).count());
    if markers == 0 && images > 1 {
        pair.question = format!("{}{}", format!("{IMAGE}\n").repeat(images), pair.question);
    }
    pair.answer_gt = row.get("answer_gt").map_or(Ok(None), known_answer)?;
    Ok(pair)
}

fn rlaif_v(row: &Map<String, Value>) -> Result<Pair, String> {
    let image = Images(vec![path(&row["image_path"])?]);
    let said = |key: &str| text(row, key);
    let (question, chosen, rejected) = (said("question")?, said("chosen")?, said("rejected")?);
    Ok(Pair { image, question, chosen, rejected, ..Pair::default() })
}

fn responses(row: &Map<String, Value>) -> Result<Pair, String> {
    let question = text(row, if row.contains_key("prompt") { "prompt" } else { "question" })?;
    let (one, two) = (text(row, "response_1")?, text(row, "response_2")?);
    let preference = row.get("preference").unwrap_or(&Value::Null);
    let (chosen, rejected) = match (preference.as_f64(), preference.as_str()) {
        (Some(1.0), _) | (_, Some("1" | "response_1")) => (one, two),
        (Some(2.0), _) | (_, Some("2" | "response_2")) => (two, one),
        _ => return Err(format!("`preference` is {preference}, and not 1 or 2")),
    };
    Ok(Pair { image: images(row)?, question, chosen, rejected, ..Pair::default() })
}

fn trl(row: &Map<String, Value>) -> Result<Pair, String> {
    let (chosen, rejected) = (turns(row, "chosen")?, turns(row, "rejected")?);
    let (question, chosen, rejected) = if row.contains_key("prompt") {
        (turns(row, "prompt")?, chosen, rejected)
    } else {
        // Both conversations are whole.
        let [asked, chosen] = <[Turn; 2]>::try_from(chosen)
            .map_err(|_| "`chosen` is no question and answer, and there is no `prompt`")?;
        let [also, rejected] = <[Turn; 2]>::try_from(rejected)
            .map_err(|_| "`rejected` is no question and answer, and there is no `prompt`")?;
        if asked != also {
            return Err("`chosen` and `rejected` begin with other questions".into());
        }
        (vec![asked], vec![chosen], vec![rejected])
    };
    let image = images(row)?;
    let one = |key: &str, role: &str, turns: Vec<Turn>| match <[Turn; 1]>::try_from(turns) {
        Ok([turn]) if turn.role.is_empty() || turn.role == role => Ok(turn.text),
        Ok([turn]) => Err(format!("`{key}` is said by `{}`, not by `{role}`", turn.role)),
        Err(turns) => Err(format!("`{key}` has {} messages: one is read", turns.len())),
    };
    Ok(Pair {
        image,
        question: one("prompt", "user", question)?,
        chosen: one("chosen", "assistant", chosen)?,
        rejected: one("rejected", "assistant", rejected)?,
        ..Pair::default()
    })
}

/// One message; a text by itself has no role.
#[derive(Debug, PartialEq)]
struct Turn {
    role: String,
    text: String,
}

/// A text, or the messages of a list.
fn turns(row: &Map<String, Value>, key: &str) -> Result<Vec<Turn>, String> {
    match row.get(key) {
        None => Err(format!("missing field `{key}`")),
        Some(Value::String(text)) => Ok(vec![Turn { role: String::new(), text: text.clone() }]),
        Some(Value::Array(messages)) => messages
            .iter()
            .map(|message| {
                let role = message.get("role").and_then(Value::as_str);
                let text = message.get("content").and_then(content);
                role.zip(text)
                    .map(|(role, text)| Turn { role: role.to_owned(), text })
                    .ok_or_else(|| format!("a message of `{key}` has no role or no text"))
            })
            .collect(),
        Some(_) => Err(format!("`{key}` is neither text nor a list of messages")),
    }
}

/// A text, or parts of which each is a text or stands for a picture.
fn content(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => parts
            .iter()
            .map(|part| match part.get("type")?.as_str()? {
                "text" => Some(part.get("text")?.as_str()?.to_owned()),
                "image" => Some(format!("{IMAGE}\n")),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// The pictures of `images` or `image`: paths, or objects with one.
fn images(row: &Map<String, Value>) -> Result<Images, String> {
    match row.get("images").or_else(|| row.get("image")) {
        None | Some(Value::Null) => Ok(Images::default()),
        Some(Value::Array(list)) => Ok(Images(list.iter().map(path).collect::<Result<_, _>>()?)),
        Some(Value::String(path)) if path.is_empty() => Ok(Images::default()),
        Some(one) => Ok(Images(vec![path(one)?])),
    }
}

fn path(value: &Value) -> Result<String, String> {
    let path = value.as_str().or_else(|| value.get("path")?.as_str());
    path.map(str::to_owned).ok_or_else(|| {
        "a picture has no path: write those that are in the rows to files, and name these".into()
    })
}

fn text(row: &Map<String, Value>, key: &str) -> Result<String, String> {
    match row.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("`{key}` is not text")),
        None => Err(format!("missing field `{key}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_row(text: &str) -> Result<Pair, String> {
        let form = Form::of(text.as_bytes())?;
        read(form, &serde_json::from_str(text).unwrap())
    }

    #[test]
    fn every_form_gives_the_same_pair() {
        let said = Pair {
            image: Images(vec!["a.png".into()]),
            question: "<image>\nHow many?".into(),
            chosen: "2".into(),
            rejected: "3".into(),
            ..Pair::default()
        };
        for text in [
            r#"{"image":"a.png","question":"<image>\nHow many?","chosen":"2","rejected":"3"}"#,
            r#"{"image_path":"a.png","question":"<image>\nHow many?","chosen":"2","rejected":"3","ds_name":"x"}"#,
            r#"{"images":["a.png"],"prompt":"<image>\nHow many?","chosen":"2","rejected":"3"}"#,
            r#"{"images":[{"bytes":null,"path":"a.png"}],"prompt":[{"role":"user","content":[{"type":"image"},{"type":"text","text":"How many?"}]}],
                "chosen":[{"role":"assistant","content":"2"}],"rejected":[{"role":"assistant","content":[{"type":"text","text":"3"}]}]}"#,
            r#"{"images":["a.png"],"chosen":[{"role":"user","content":"<image>\nHow many?"},{"role":"assistant","content":"2"}],
                "rejected":[{"role":"user","content":"<image>\nHow many?"},{"role":"assistant","content":"3"}]}"#,
            r#"{"image":"a.png","prompt":"<image>\nHow many?","response_1":"2","response_2":"3","preference":1}"#,
            r#"{"image":["a.png"],"question":"<image>\nHow many?","response_1":"3","response_2":"2","preference":"2"}"#,
        ] {
            assert_eq!(read_row(text).as_ref(), Ok(&said), "{text}");
        }
        let two = read_row(r#"{"images":["a","b"],"prompt":"q","chosen":"2","rejected":"3"}"#);
        assert_eq!(two.unwrap().question, "<image>\n<image>\nq");
    }

    #[test]
    fn a_known_answer_is_text_or_a_number() {
        for (known, read) in [("5", "5"), ("2.50", "2.5"), (r#""5""#, "5")] {
            for row in [
                r#"{"question":"q","chosen":"a","rejected":"b","answer_gt":KNOWN}"#,
                r#"{"prompt":"q","chosen":"a","rejected":"b","answer_gt":KNOWN}"#,
            ] {
                let pair = read_row(&row.replace("KNOWN", known)).unwrap();
                assert_eq!(pair.answer_gt.as_deref(), Some(read), "{row} {known}");
                assert_eq!(read_row(&row.replace("KNOWN", "null")).unwrap().answer_gt, None);
                let error = read_row(&row.replace("KNOWN", "[5]")).unwrap_err();
                assert!(error.contains("neither text nor a number"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_no_pair_says_why() {
        for empty in ["null", r#""""#, "[]"] {
            let row = r#"{"question":"q","chosen":"a","rejected":"b","video":EMPTY}"#;
            assert!(read_row(&row.replace("EMPTY", empty)).is_ok(), "{empty}");
        }
        for (text, why) in [
            (r#"{"question":"q","chosen":"a","rejected":"b","video":"v.mp4"}"#, "about a video"),
            (r#"{"prompt":"q","chosen":"a","rejected":"b","videos":["v.mp4"]}"#, "about a video"),
            (r#"{"prompt":"q","response":"a"}"#, "name the file in `candidates.import`"),
            (
                r#"{"prompt":"q","response_1":"a","response_2":"b","preference":0}"#,
                "`preference` is 0",
            ),
            (r#"{"prompt":"q","response_1":"a","response_2":"b"}"#, "`preference` is null"),
            (r#"{"prompt":"q","response_1":"a","preference":1}"#, "missing field `response_2`"),
            (r#"{"prompt":"q","chosen":"a"}"#, "missing field `rejected`"),
            (r#"{"prompt":7,"chosen":"a","rejected":"b"}"#, "neither text nor a list"),
            (r#"{"prompt":"q","chosen":["a"],"rejected":"b"}"#, "no role or no text"),
            (
                r#"{"prompt":"q","chosen":[{"role":"user","content":"a"}],"rejected":"b"}"#,
                "said by `user`",
            ),
            (r#"{"prompt":[],"chosen":"a","rejected":"b"}"#, "has 0 messages"),
            (
                r#"{"images":[{"bytes":"AA"}],"prompt":"q","chosen":"a","rejected":"b"}"#,
                "has no path",
            ),
            (
                r#"{"chosen":[{"role":"user","content":"x"},{"role":"assistant","content":"a"}],
                "rejected":[{"role":"user","content":"y"},{"role":"assistant","content":"b"}]}"#,
                "other questions",
            ),
        ] {
            let error = read_row(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
