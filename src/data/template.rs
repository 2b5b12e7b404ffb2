//! How a question is put to a model: instruction, chat template, image tokens.
//!
//! To add a template, add a row to [`TEMPLATES`]. A row is judged by what the
//! reference implementation renders (`tests/data.rs`).

use super::tokenizer::{IMAGE_CONTEXT, IMAGE_END, IMAGE_START, Tokenizer};
use crate::error::{Error, Result};
use crate::spec::candidates::Prompt;

/// Where a picture goes in a question.
pub const IMAGE: &str = "<image>";

/// A chat template with its instructions.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Its name in config.json.
    pub name: &'static str,
    /// What stands before the question.
    before: &'static str,
    /// What stands between the question and the answer.
    after: &'static str,
    /// Put behind a question that wants the answer alone.
    direct: &'static str,
    /// Put behind a question that wants reasoning.
    reasoned: &'static str,
    /// Whether words outside the vocabulary are an error.
    closed: bool,
}

/// Instructions for checkpoints that follow them.
const DIRECT: &str = "Answer the question using a single word or phrase.";
const REASONED: &str = "Reason step by step before you answer. When you are ready, end with a \
                        line of its own in the form \"Final answer: ..\".";

const BOXED: &str = "Reason step by step before you answer. End with a line of its own in the \
                     form \"Answer: \\boxed{..}\".";
/// The multimodal chain-of-thought prompts of Wang et al. 2024, arXiv:2411.10442v2, figure 7,
/// k to m.
const BACKGROUND: &str =
    "Please analyze the relevant background knowledge before answering the question.";
const VISUAL: &str = "Please analyze the given image and then provide step-by-step reasoning.";
const GROUNDED: &str = "Answer the question with grounding.";

/// A row for a checkpoint that follows instructions.
macro_rules! chat {
    ($name:literal, $before:expr, $after:literal) => {
        Template {
            name: $name,
            before: $before,
            after: $after,
            direct: DIRECT,
            reasoned: REASONED,
            closed: false,
        }
    };
}

/// The system message that InternVL2 was trained with, between its marks.
macro_rules! internvl2 {
    ($start:literal, $end:literal) => {
        concat!(
            $start,
            "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。",
            $end
        )
    };
}

/// Every template.
pub const TEMPLATES: &[Template] = &[
    // The embedded sizes: few tokens and no roles; an answer starts where an instruction ends.
    Template {
        name: "plain",
        before: "",
        after: "",
        direct: "Answer directly.",
        reasoned: "Think step by step.",
        closed: true,
    },
    chat!(
        "internlm2-chat",
        internvl2!("<|im_start|>system\n", "<|im_end|><|im_start|>user\n"),
        "<|im_end|><|im_start|>assistant\n"
    ),
    chat!(
        "Hermes-2",
        internvl2!("<|im_start|>system\n", "<|im_end|><|im_start|>user\n"),
        "<|im_end|><|im_start|>assistant\n"
    ),
    chat!("phi3-chat", internvl2!("<|system|>\n", "<|end|><|user|>\n"), "<|end|><|assistant|>\n"),
    chat!(
        "internvl2_5",
        concat!(
            "<|im_start|>system\n",
            "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。",
            "<|im_end|>\n<|im_start|>user\n"
        ),
        "<|im_end|>\n<|im_start|>assistant\n"
    ),
];

impl Template {
    /// The template of that name.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn named(name: &str) -> Result<&'static Self> {
        TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
            let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
            Error::new(format!("`{name}` is not a chat template"))
                .hint(format!("config.json's `template` is one of {}", names.join(", ")))
        })
    }

    /// What is put behind a question.
    pub fn instruction(&self, prompt: Prompt) -> &'static str {
        match prompt {
            Prompt::Direct => self.direct,
            Prompt::Cot => self.reasoned,
            Prompt::Open if self.closed => self.direct,
            Prompt::Open => "",
            Prompt::Boxed => BOXED,
            Prompt::Background => BACKGROUND,
            Prompt::Visual => VISUAL,
            Prompt::Grounded => GROUNDED,
        }
    }

    /// Whether a model of this template was taught to be asked so: the embedded sizes know two ways.
    pub fn knows(&self, prompt: Prompt) -> bool {
        !self.closed || matches!(prompt, Prompt::Direct | Prompt::Cot | Prompt::Open)
    }
}

/// Turns questions and answers into token ids.
#[derive(Clone, Debug)]
pub struct Prompter<'a> {
    tokenizer: &'a Tokenizer,
    template: &'static Template,
    image_tokens: usize,
}

impl<'a> Prompter<'a> {
    /// For a model with this tokenizer, template and number of image tokens a tile.
    ///
    /// # Errors
    ///
    /// If there is no such template.
    pub fn new(tokenizer: &'a Tokenizer, template: &str, image_tokens: usize) -> Result<Self> {
        Ok(Self { tokenizer, template: Template::named(template)?, image_tokens })
    }

    /// The question as the model is asked: MMPR's `question`. One picture, in front.
    pub fn question_text(&self, question: &str, prompt: Prompt) -> String {
        self.question_text_with(question, 1, prompt)
    }

    /// As [`Self::question_text`], about any number of pictures. Markers that the
    /// question holds already stay where they are.
    pub fn question_text_with(&self, question: &str, images: usize, prompt: Prompt) -> String {
        self.question_text_by(question, images, self.template.instruction(prompt))
    }

    /// As [`Self::question_text_with`], with the instruction that a benchmark puts behind its
    /// questions, where it has one. The embedded sizes know their own only.
    pub fn question_text_of(
        &self,
        question: &str,
        images: usize,
        prompt: Prompt,
        instruction: Option<&str>,
    ) -> String {
        let own = instruction.filter(|_| !self.template.closed);
        let instruction = own.unwrap_or_else(|| self.template.instruction(prompt));
        self.question_text_by(question, images, instruction)
    }

    fn question_text_by(&self, question: &str, images: usize, instruction: &str) -> String {
        let front = match (images, question.contains(IMAGE)) {
            (0, _) | (_, true) => String::new(),
            (1, false) => format!("{IMAGE}\n"),
            (_, false) => (1..=images).map(|image| format!("Image-{image}: {IMAGE}\n")).collect(),
        };
        match instruction {
            "" => format!("{front}{question}"),
            _ => format!("{front}{question}\n{instruction}"),
        }
    }

    /// Token ids of a whole prompt about one picture of `tiles` tiles; with no
    /// tiles the picture is left out of the prompt.
    ///
    /// # Errors
    ///
    /// As [`Self::encode_prompt_with`].
    pub fn encode_prompt(&self, question_text: &str, tiles: usize) -> Result<Vec<i64>> {
        if tiles == 0 {
            let blind = question_text.replace(&format!("{IMAGE}\n"), "").replace(IMAGE, "");
            return self.encode_prompt_with(&blind, &[]);
        }
        self.encode_prompt_with(question_text, &[tiles])
    }

    /// Token ids of a whole prompt, with the number of tiles of each picture.
    ///
    /// # Errors
    ///
    /// If pictures and `<image>` markers differ in number; for the embedded
    /// sizes, if a word is not in the vocabulary.
    pub fn encode_prompt_with(&self, question_text: &str, tiles: &[usize]) -> Result<Vec<i64>> {
        let markers = question_text.matches(IMAGE).count();
        if markers != tiles.len() {
            return Err(Error::new(format!(
                "a question has {markers} `{IMAGE}` markers and {} pictures: {question_text:?}",
                tiles.len()
            ))
            .hint("every picture needs a marker in its question, and every marker a picture"));
        }
        if self.template.closed {
            return self.encode_plain(question_text, tiles);
        }
        Ok(self.tokenizer.encode_framed(&self.render(question_text, tiles)))
    }

    /// The whole prompt as text, image tokens spelt out.
    pub fn render(&self, question_text: &str, tiles: &[usize]) -> String {
        let mut text = String::from(self.template.before);
        let mut parts = question_text.split(IMAGE);
        text.push_str(parts.next().unwrap_or_default());
        for (part, tiles) in parts.zip(tiles) {
            text.push_str(IMAGE_START);
            text.push_str(&IMAGE_CONTEXT.repeat(self.image_tokens * tiles));
            text.push_str(IMAGE_END);
            text.push_str(part);
        }
        text.push_str(self.template.after);
        text
    }

    /// The embedded sizes' prompt: pieces of text and pictures, line breaks around pictures left out.
    fn encode_plain(&self, question_text: &str, tiles: &[usize]) -> Result<Vec<i64>> {
        let special = |token| self.tokenizer.id(token).expect("a built tokenizer has image marks");
        let mut parts = question_text.split(IMAGE);
        let known = |part: &str| self.tokenizer.encode_known(part.trim_matches('\n'));
        let mut ids = known(parts.next().unwrap_or_default())?;
        for (part, tiles) in parts.zip(tiles) {
            ids.push(special(IMAGE_START));
            let context = self.tokenizer.image_context();
            ids.extend(std::iter::repeat_n(context, self.image_tokens * tiles));
            ids.push(special(IMAGE_END));
            ids.extend(known(part)?);
        }
        Ok(ids)
    }

    /// Token ids of an answer, the end token behind it.
    pub fn encode_answer(&self, text: &str) -> Vec<i64> {
        let mut ids = self.tokenizer.encode(text);
        ids.push(self.tokenizer.eos());
        ids
    }

    /// The instruction texts, for the vocabulary of a built tokenizer.
    pub fn instructions(template: &str) -> Result<[&'static str; 2]> {
        let template = Template::named(template)?;
        Ok([Prompt::Direct, Prompt::Cot].map(|prompt| template.instruction(prompt)))
    }
}
