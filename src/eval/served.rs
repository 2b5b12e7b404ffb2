//! Answers of a server, in place of a model here. It is asked as checkpoints are that follow
//! instructions. Tokens are those that it counts, or else the answer's words; pictures are sent as
//! they are, and cut by whoever serves the model.

use super::Row;
use super::answers::Item;
use super::asking::is_of_file;
use crate::answer::matching::{Said, answer};
use crate::data::template::{SERVED, Template};
use crate::sample::prompts::asked;
use crate::server::{self, Chat, Client};
use crate::spec::eval::Eval;
use crate::stage::StageContext;
use crate::{Error, Result};

/// Asks the server of `[eval.server]`, greedily.
pub(super) struct Served<'a> {
    eval: &'a Eval,
    ctx: &'a StageContext,
    client: Client,
}

impl<'a> Served<'a> {
    /// With the replies that the store keeps.
    pub(super) fn new(eval: &'a Eval, ctx: &'a StageContext) -> Result<Self> {
        let client = Client::new(&eval.server, &ctx.replies)?;
        Ok(Self { eval, ctx, client })
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
        let template = Template::named(SERVED)?;
        let chat = |item: &Item<'_>| {
            let question = item.question;
            let role = if is_of_file(question) { "benchmarks" } else { "corpus" };
            let text = asked(template, question, item.prompt);
            let parts = Chat::parts(&text, self.ctx.input(role), &question.images);
            Chat::greedy(parts, self.eval.max_tokens)
        };
        let chats: Vec<Chat> = items.iter().map(chat).collect();
        let name = |index: usize| format!("question {}", items[index].question.id);
        let replies = self.client.ask_every(&chats, name, server::ANY, progress)?;
        let row = |(item, reply): (&Item<'_>, server::Reply)| {
            let said = reply.choices.into_iter().next().expect("a reply has a choice");
            let tokens = match reply.completion_tokens {
                0 => said.text.split_whitespace().count(),
                counted => counted as usize,
            };
            let said = Said { text: said.text, tokens, ended: said.ended };
            Row { answer: answer(item.question, item.prompt, 0, said), given_percent: 0 }
        };
        Ok(items.iter().zip(replies).map(row).collect())
    }
}
