//! How a question is put to a model: instruction, chat template, image tokens.
//!
//! To add a template, add a row to [`TEMPLATES`]. A row is judged by what the
//! reference implementation renders (`tests/data.rs`).

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
    direct: DIRECT,
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

    /// Whether it is the embedded sizes' own.
    pub fn is_plain(&self) -> bool {
        self.closed
    }

    /// Every text that it puts around questions and answers.
    pub(super) fn texts(&self) -> [&'static str; 7] {
        let Self { opening, system, user, assistant, end, direct, reasoned, .. } = self;
        [opening, system, user, assistant, end, direct, reasoned]
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

/// Turns questions and answers into token ids.
#[derive(Clone, Debug)]
pub struct Prompter<'a> {
    tokenizer: &'a Tokenizer,
    template: &'static Template,
    image_tokens: usize,
}

impl<'a> Prompter<'a> {
    /// For a model with this tokenizer, template and number of image tokens a tile. With 0 image
    /// tokens it is for question texts alone: no token is looked up, and none need be there.
    ///
    /// # Errors
    ///
    /// If there is no such template, or its tokens are not the tokenizer's.
    pub fn new(tokenizer: &'a Tokenizer, template: &str, image_tokens: usize) -> Result<Self> {
        let prompter = Self { tokenizer, template: Template::named(template)?, image_tokens };
        if image_tokens > 0 {
            prompter.check_tokens()?;
        }
        Ok(prompter)
    }

    /// Whether each mark of the template and of pictures is one token, and answers end where the
    /// sampler stops. Otherwise a model would read marks letter by letter and never end.
    fn check_tokens(&self) -> Result<()> {
        let Template { name, end, .. } = *self.template;
        let lacks = |token: &&str| !self.tokenizer.is_whole(token);
        let images = [IMAGE_START, IMAGE_END, IMAGE_CONTEXT];
        if let Some(token) = images.iter().find(|token| lacks(token)) {
            return Err(Error::new(format!("the tokenizer has no token `{token}`")).hint(
                "a model that sees pictures has the tokens `<img>`, `</img>` and `<IMG_CONTEXT>`: \
                 added_tokens.json or tokenizer.json lists them",
            ));
        }
        if let Some(token) = self.template.tokens().iter().find(|token| lacks(token)) {
            let fits = |one: &&Template| one.tokens().iter().all(|token| !lacks(token));
            let chats = TEMPLATES.iter().filter(|one| !one.closed);
            let fitting: Vec<&str> = chats.filter(fits).map(|one| one.name).collect();
            return Err(Error::new(format!(
                "the template `{name}` does not fit this checkpoint: its tokenizer has no token \
                 `{token}`"
            ))
            .hint(match fitting.is_empty() {
                true => "no template fits this tokenizer: are its added tokens there?".to_owned(),
                false => format!(
                    "its tokenizer fits {}: `template` in config.json names the one that the \
                     checkpoint was trained with",
                    fitting.join(", ")
                ),
            }));
        }
        match self.tokenizer.id(end.trim()) {
            Some(id) if id != self.tokenizer.eos() => Err(Error::new(format!(
                "the template `{name}` ends messages with `{}`, and this checkpoint's tokenizer \
                 with another token",
                end.trim()
            ))
            .hint("`template` in config.json names the one that the checkpoint was trained with")),
            _ => Ok(()),
        }
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
        let turns = [(Role::User, question_text), (Role::Assistant, "")];
        with_images(&self.template.conversation(None, &turns), tiles, self.image_tokens)
    }

    /// The prompt of InternVL's `chat`: a system message of one's own, earlier questions with
    /// their answers, and a question. Where there is no history and no marker, pictures go in
    /// front of the question.
    pub fn chat(
        &self,
        system: Option<&str>,
        history: Option<&[(String, String)]>,
        question: &str,
        tiles: Option<&[usize]>,
    ) -> String {
        let front = history.is_none() && tiles.is_some() && !question.contains(IMAGE);
        let question = format!("{}{question}", if front { "<image>\n" } else { "" });
        let mut turns: Vec<(Role, &str)> = Vec::new();
        for (asked, answered) in history.unwrap_or_default() {
            turns.extend([(Role::User, asked.as_str()), (Role::Assistant, answered)]);
        }
        turns.extend([(Role::User, question.as_str()), (Role::Assistant, "")]);
        let text = self.template.conversation(system, &turns);
        with_images(&text, tiles.unwrap_or_default(), self.image_tokens)
    }

    /// Prompts of InternVL's `batch_chat`, filled up on the left to one length: ids, and whether
    /// each is a prompt's own.
    ///
    /// # Errors
    ///
    /// If the tokenizer names no token to fill up with.
    pub fn batch(&self, texts: &[String]) -> Result<(Vec<Vec<i64>>, Vec<Vec<bool>>)> {
        let pad = self.tokenizer.pad().ok_or_else(|| {
            Error::new("the tokenizer names no padding token")
                .hint("`pad_token` of tokenizer_config.json does")
        })?;
        let rows: Vec<Vec<i64>> =
            texts.iter().map(|text| self.tokenizer.encode_framed(text)).collect();
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let short = |row: &Vec<i64>| length - row.len();
        let is_own =
            rows.iter().map(|row| (0..length).map(|at| at >= short(row)).collect()).collect();
        let filled = rows
            .iter()
            .map(|row| std::iter::repeat_n(pad, short(row)).chain(row.iter().copied()).collect())
            .collect();
        Ok((filled, is_own))
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

    /// Token ids of an answer, the end token behind it: as they are behind the prompt's last mark.
    pub fn encode_answer(&self, text: &str) -> Vec<i64> {
        let mut ids = self.tokenizer.encode_behind(self.template.assistant, text);
        ids.push(self.tokenizer.eos());
        ids
    }

    /// The instruction texts, for the vocabulary of a built tokenizer.
    pub fn instructions(template: &str) -> Result<[&'static str; 2]> {
        let template = Template::named(template)?;
        Ok([Prompt::Direct, Prompt::Cot].map(|prompt| template.instruction(prompt)))
    }
}
