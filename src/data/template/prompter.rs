//! Questions and answers as token ids.

use super::{IMAGE, Role, TEMPLATES, Template, with_images};
use crate::data::tokenizer::{IMAGE_CONTEXT, IMAGE_END, IMAGE_START, Tokenizer};
use crate::error::{Error, Result};
use crate::spec::candidates::Prompt;
use std::iter::repeat_n;

/// Prompts filled up on the left: `[prompts, length]`.
#[derive(Debug)]
pub struct Filled {
    /// Token ids.
    pub ids: Vec<Vec<i64>>,
    /// Whether each is the prompt's own.
    pub is_own: Vec<Vec<bool>>,
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

    /// Its template.
    pub fn template(&self) -> &'static Template {
        self.template
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
            let chats = TEMPLATES.iter().filter(|one| !one.closed);
            let fitting: Vec<&str> =
                chats.filter(|one| one.fits(self.tokenizer)).map(|one| one.name).collect();
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

    /// The question as the model is asked about so many pictures: MMPR's `question`.
    pub fn question_text(&self, question: &str, images: usize, prompt: Prompt) -> String {
        self.template.question_text(question, images, prompt, None)
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
        if let Some(ids) = self.encode_repeated(question_text, tiles) {
            return Ok(ids);
        }
        Ok(self.tokenizer.encode_framed(&self.render(question_text, tiles)))
    }

    /// As the rendered prompt is encoded, with one image token a picture, whose id is repeated:
    /// to find each of thousands takes a tokenizer more time than all the rest. Nothing where the
    /// question spells an image token out itself, so that it cannot be told which is which.
    fn encode_repeated(&self, question_text: &str, tiles: &[usize]) -> Option<Vec<i64>> {
        if self.image_tokens == 0 || tiles.is_empty() {
            return None;
        }
        let text = with_images(&self.conversation(question_text), &vec![1; tiles.len()], 1);
        let short = self.tokenizer.encode_framed(&text);
        let context = self.tokenizer.image_context();
        if short.iter().filter(|id| **id == context).count() != tiles.len() {
            return None;
        }
        let mut ids =
            Vec::with_capacity(short.len() + self.image_tokens * tiles.iter().sum::<usize>());
        let mut tiles = tiles.iter();
        for id in short {
            let tiles = if id == context { tiles.next() } else { None };
            ids.extend(repeat_n(id, tiles.map_or(1, |tiles| tiles * self.image_tokens)));
        }
        Some(ids)
    }

    /// The whole prompt as text, image tokens spelt out.
    pub fn render(&self, question_text: &str, tiles: &[usize]) -> String {
        with_images(&self.conversation(question_text), tiles, self.image_tokens)
    }

    fn conversation(&self, question_text: &str) -> String {
        let turns = [(Role::User, question_text), (Role::Assistant, "")];
        self.template.conversation(None, &turns)
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

    /// Prompts of InternVL's `batch_chat`, filled up on the left to one length.
    ///
    /// # Errors
    ///
    /// If the tokenizer names no token to fill up with.
    pub fn batch(&self, texts: &[String]) -> Result<Filled> {
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
        let ids = rows
            .iter()
            .map(|row| repeat_n(pad, short(row)).chain(row.iter().copied()).collect())
            .collect();
        Ok(Filled { ids, is_own })
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
            ids.extend(repeat_n(context, self.image_tokens * tiles));
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

    /// Whether the model was taught to be asked so: what follows instructions knows every form,
    /// an embedded size those whose words its tokenizer has.
    pub fn knows(&self, prompt: Prompt) -> bool {
        let instruction = self.template.instruction(prompt);
        !self.template.closed || self.tokenizer.unknown_word(instruction).is_none()
    }
}
