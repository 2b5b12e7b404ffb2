//! Answers of a server, in place of a model here. It is asked as checkpoints are that follow
//! instructions, whatever the model here is. Tokens are those that it counts, or else the tokenizer's
//! of the model here; pictures are sent as they are, and cut by whoever serves the model.

use super::Row;
use super::answers::Item;
use super::asking::is_of_file;
use super::matching::{Said, answer};
use crate::data::template::{Prompter, SERVED};
use crate::data::tokenizer::Tokenizer;
use crate::run::stage::StageContext;
use crate::server::{self, Chat, Client};
use crate::spec::eval::Eval;
use crate::{Error, Result};

/// Asks the server of `[eval.server]`, greedily.
pub(super) struct Served<'a> {
    eval: &'a Eval,
    ctx: &'a StageContext,
    tokenizer: &'a Tokenizer,
    client: Client,
}

impl<'a> Served<'a> {
    /// With the tokenizer of the stage's model.
    pub(super) fn new(
        eval: &'a Eval,
        ctx: &'a StageContext,
        tokenizer: &'a Tokenizer,
    ) -> Result<Self> {
        let client = Client::new(&eval.server, &ctx.replies)?;
        Ok(Self { eval, ctx, tokenizer, client })
    }

    /// Answers, judged, in the order of the items.
    ///
    /// # Errors
    ///
    /// Questions that the server failed for, named; what it did say is kept and not asked again.
    pub(super) fn ask(
        &self,
        items: &[Item<'_>],
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Vec<Row>> {
        if let Some(item) = items.iter().find(|item| item.percent > 0) {
            return Err(Error::spec(format!(
                "question `{}` gives a part of its rationale, which a server is not asked to go on from",
                item.question.id
            ))
            .hint("leave `shift` out of `eval.benchmarks`"));
        }
        let prompter = Prompter::new(self.tokenizer, SERVED, 0)?;
        let chat = |item: &Item<'_>| {
            let question = item.question;
            let role = if is_of_file(question) { "benchmarks" } else { "corpus" };
            let own = question.meta.get(item.prompt.name()).map(String::as_str);
            let text = prompter.question_text_of(
                &question.question,
                question.images.len(),
                item.prompt,
                own,
            );
            let parts = Chat::parts(&text, self.ctx.input(role), &question.images);
            Chat::greedy(parts, self.eval.max_tokens)
        };
        let chats: Vec<Chat> = items.iter().map(chat).collect();
        let name = |index: usize| format!("question {}", items[index].question.id);
        let replies = self.client.ask_every(&chats, name, server::ANY, progress)?;
        let row = |(item, reply): (&Item<'_>, server::Reply)| {
            let said = reply.choices.into_iter().next().expect("a reply has a choice");
            let tokens = match reply.completion_tokens {
                0 => self.tokenizer.encode(&said.text).len() + usize::from(said.ended),
                counted => counted as usize,
            };
            let said = Said { text: said.text, tokens, ended: said.ended };
            Row { answer: answer(item.question, item.prompt, 0, said), given_percent: 0 }
        };
        Ok(items.iter().zip(replies).map(row).collect())
    }
}
