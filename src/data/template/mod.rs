//! How a question is put to a model: instruction, chat template, image tokens.
//!
//! To add a template, add a row to [`TEMPLATES`]. A row is judged by what the
//! reference implementation renders (`tests/suite/prompts.rs`). [`Prompter`] makes token ids of it.

pub mod instruction;
mod prompter;

pub use prompter::{Filled, Prompter};

use super::labels::Rule;
use super::tokenizer::{IMAGE_CONTEXT, IMAGE_END, IMAGE_START, Tokenizer};
use crate::error::{Error, Result};
use crate::spec::candidates::Prompt;

/// Where a picture goes in a question.
pub const IMAGE: &str = "<image>";

/// A chat template with its instructions. A conversation reads
/// `opening system end (role text end)*`, and ends in the role mark of whoever is to speak.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Its name in config.json.
    pub name: &'static str,
    /// What stands before the system message.
    opening: &'static str,
    /// The system message that the checkpoint was trained with.
    system: &'static str,
    /// What stands before a question.
    pub(super) user: &'static str,
    /// What stands before an answer.
    pub(super) assistant: &'static str,
    /// What ends a message; its first line is the token that ends an answer.
    pub(super) end: &'static str,
    /// How InternVL's trainer finds the answers.
    pub(super) labels: Rule,
    /// Put behind a question that wants the answer alone.
    direct: &'static str,
    /// Put behind a question that wants reasoning.
    reasoned: &'static str,
    /// Whether words outside the vocabulary are an error.
    closed: bool,
}

/// The template whose texts a server is asked with: whoever serves a model puts its own marks around
/// them, and all that follow instructions share these.
pub const SERVED: &str = "internvl2_5";

/// Instructions for checkpoints that follow them.
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
/// The system message of InternVL2.
const INTERNVL2: &str = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。";
/// The system message of InternVL2.5 and 3.
const INTERNVL2_5: &str = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。";

/// The marks that InternLM2, Qwen2 and Yi share.
const CHATML: Template = Template {
    name: "",
    opening: "<|im_start|>system\n",
    system: INTERNVL2,
    user: "<|im_start|>user\n",
    assistant: "<|im_start|>assistant\n",
    end: "<|im_end|>",
    labels: Rule::Turns,
    direct: instruction::SHORT,
    reasoned: REASONED,
    closed: false,
};

/// Every template.
pub const TEMPLATES: &[Template] = &[
    // The embedded sizes: few tokens and no roles; an answer starts where an instruction ends.
    Template {
        name: "plain",
        opening: "",
        system: "",
        user: "",
        assistant: "",
        end: "",
        labels: Rule::Turns,
        direct: "Answer directly.",
        reasoned: "Think step by step.",
        closed: true,
    },
    Template { name: "internlm2-chat", labels: Rule::Marks, ..CHATML },
    Template { name: "Hermes-2", labels: Rule::Pairs, ..CHATML },
    Template {
        name: "phi3-chat",
        opening: "<|system|>\n",
        user: "<|user|>\n",
        assistant: "<|assistant|>\n",
        end: "<|end|>",
        labels: Rule::FramedPairs,
        ..CHATML
    },
    Template { name: "internvl2_5", system: INTERNVL2_5, end: "<|im_end|>\n", ..CHATML },
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

    /// The names of those for released models, between commas.
    pub fn chats() -> String {
        let chats = TEMPLATES.iter().filter(|one| !one.closed).map(|one| one.name);
        chats.collect::<Vec<_>>().join(", ")
    }

    /// The template of a checkpoint that names none: the one that alone fits its tokenizer. Those
    /// of InternLM2 and of Qwen2 have the same marks, so that for them there is no telling.
    ///
    /// # Errors
    ///
    /// If several fit, or none.
    pub fn fitting(tokenizer: &Tokenizer) -> Result<&'static Self> {
        let chats = TEMPLATES.iter().filter(|one| !one.closed);
        let fitting: Vec<&Self> = chats.filter(|one| one.fits(tokenizer)).collect();
        let names: Vec<&str> = fitting.iter().map(|one| one.name).collect();
        let (what, names) = match fitting.as_slice() {
            [] if tokenizer.is_built() => return Self::named("plain"),
            [one] => return Ok(one),
            [] => ("no template fits its tokenizer", String::new()),
            _ => ("several fit its tokenizer", format!(": {}", names.join(", "))),
        };
        Err(Error::new(format!("the checkpoint names no chat template, and {what}{names}")).hint(
            "set `model.template` in the spec (`ask --template`), or write `\"template\": \"NAME\"` into its \
             config.json: the one that it was trained with (InternVL2.5 and later: internvl2_5)",
        ))
    }

    /// Whether its marks are tokens, and an answer ends where a sampler stops.
    fn fits(&self, tokenizer: &Tokenizer) -> bool {
        self.tokens().iter().all(|token| tokenizer.is_whole(token))
            && tokenizer.id(self.end.trim()) == Some(tokenizer.eos())
    }

    /// Whether it is the embedded sizes' own.
    pub fn is_plain(&self) -> bool {
        self.closed
    }

    /// Every text that it puts around questions and answers.
    pub(super) fn texts(&self) -> [&'static str; 7] {
        let Self { opening, system, user, assistant, end, direct, reasoned, .. } = self;
        [opening, system, user, assistant, end, direct, reasoned]
    }

    /// The question as a model is asked: MMPR's `question`. Markers that it holds already stay
    /// where they are. `own` is a benchmark's instruction, in place of the template's; the
    /// embedded sizes know theirs only.
    pub fn question_text(
        &self,
        question: &str,
        images: usize,
        prompt: Prompt,
        own: Option<&str>,
    ) -> String {
        let front = match (images, question.contains(IMAGE)) {
            (0, _) | (_, true) => String::new(),
            (1, false) => format!("{IMAGE}\n"),
            (_, false) => (1..=images).map(|image| format!("Image-{image}: {IMAGE}\n")).collect(),
        };
        match own.filter(|_| !self.closed).unwrap_or_else(|| self.instruction(prompt)) {
            "" => format!("{front}{question}"),
            instruction => format!("{front}{question}\n{instruction}"),
        }
    }

    /// A text of a conversation as InternVL's trainer takes it: with internlm2-chat's marks alone
    /// it is stripped of white space, as Python's `str.strip` does.
    pub fn learned<'t>(&self, text: &'t str) -> &'t str {
        let is_space = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
        match self.labels {
            Rule::Marks => text.trim_matches(is_space),
            _ => text,
        }
    }

    /// What is put behind a question.
    pub fn instruction(&self, prompt: Prompt) -> &'static str {
        match prompt {
            Prompt::Direct => self.direct,
            Prompt::Cot => self.reasoned,
            Prompt::Open if self.closed => self.direct,
            Prompt::Open => "",
            Prompt::Boxed => BOXED,
            Prompt::Background if self.closed => "Say what is known first.",
            Prompt::Visual if self.closed => "Look at the picture first.",
            Prompt::Grounded if self.closed => "Answer with boxes.",
            Prompt::Background => BACKGROUND,
            Prompt::Visual => VISUAL,
            Prompt::Grounded => GROUNDED,
        }
    }

    /// A conversation as text, before image tokens take the place of markers. An empty message
    /// has its role mark and no end, as in InternVL's code.
    pub fn conversation(&self, system: Option<&str>, messages: &[(Role, &str)]) -> String {
        let mut text = self.system_turn(system);
        for (role, message) in messages {
            text.push_str(self.mark(*role));
            if !message.is_empty() {
                text.push_str(message);
                text.push_str(self.end);
            }
        }
        text
    }

    /// What stands before a message.
    pub fn mark(&self, role: Role) -> &'static str {
        match role {
            Role::User => self.user,
            Role::Assistant => self.assistant,
        }
    }

    /// The system message that this template has by itself, between its marks.
    pub(super) fn system_turn(&self, system: Option<&str>) -> String {
        [self.opening, system.unwrap_or(self.system), self.end].concat()
    }

    /// The tokens that it is made of, such as `<|im_start|>`.
    pub(super) fn tokens(&self) -> Vec<&'static str> {
        let mut tokens = Vec::new();
        for part in [self.opening, self.user, self.assistant, self.end] {
            if let Some((start, length)) =
                part.find("<|").and_then(|start| Some((start, part[start..].find("|>")? + 2)))
            {
                tokens.push(&part[start..start + length]);
            }
        }
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Who asks.
    User,
    /// Who answers.
    Assistant,
}

/// A text whose first markers are replaced by the image tokens of as many pictures.
pub fn with_images(text: &str, tiles: &[usize], image_tokens: usize) -> String {
    let mut parts = text.splitn(tiles.len() + 1, IMAGE);
    let mut out = String::from(parts.next().unwrap_or_default());
    for (part, tiles) in parts.zip(tiles) {
        out.push_str(IMAGE_START);
        out.push_str(&IMAGE_CONTEXT.repeat(image_tokens * tiles));
        out.push_str(IMAGE_END);
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_to_learn_is_stripped_with_the_older_marks_alone() {
        let learned = |name, text| Template::named(name).unwrap().learned(text);
        assert_eq!(learned("internlm2-chat", " yes\n\n\u{1f}"), "yes");
        for name in ["Hermes-2", "phi3-chat", "internvl2_5"] {
            assert_eq!(learned(name, " yes\n"), " yes\n", "{name}");
        }
    }
}
