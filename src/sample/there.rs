//! Candidates by a server, asked as checkpoints are that follow instructions. Its tokens are counted
//! with the base's tokenizer.

use super::here::first_stop;
use super::prompts::{asked, form};
use crate::Result;
use crate::answer::matching::{Said, answer};
use crate::data::record::{Answer, Question};
use crate::data::template::{Prompter, SERVED};
use crate::data::tokenizer::Tokenizer;
use crate::server::{self, Chat, Client};
use crate::spec::candidates::Candidates;
use crate::stage::StageContext;

/// What every chunk is asked with.
pub(super) struct There<'a> {
    candidates: &'a Candidates,
    ctx: &'a StageContext,
    tokenizer: &'a Tokenizer,
    client: Client,
    questions: usize,
}

impl<'a> There<'a> {
    /// For the server of the table.
    pub(super) fn new(
        candidates: &'a Candidates,
        ctx: &'a StageContext,
        tokenizer: &'a Tokenizer,
        questions: usize,
    ) -> Result<Self> {
        Ok(Self {
            candidates,
            ctx,
            tokenizer,
            client: Client::new(&candidates.server, &ctx.replies)?,
            questions,
        })
    }

    /// Answers to some questions; arguments as [`super::here::Here::chunk`].
    pub(super) fn chunk(
        &self,
        first: usize,
        questions: &[Question],
        before: usize,
    ) -> Result<Vec<Answer>> {
        let Candidates { per_question, temperature, top_k, top_p, max_tokens, .. } =
            self.candidates;
        let prompter = Prompter::new(self.tokenizer, SERVED, 0)?;
        let root = self.ctx.input("corpus");
        let chats: Vec<Chat> = questions
            .iter()
            .map(|question| {
                let text = asked(prompter.template(), question, form(self.candidates, question));
                Chat {
                    choices: *per_question,
                    temperature: temperature.get(),
                    top_p: top_p.get(),
                    top_k: *top_k,
                    stop: self.candidates.stop.clone(),
                    seed: server::seed(self.candidates.seed, "candidates", &question.id, 0),
                    ..Chat::greedy(Chat::parts(&text, root, &question.images), *max_tokens)
                }
            })
            .collect();
        let progress = |done: u64, _| {
            let [done, total] = [first as u64 + done, self.questions as u64]
                .map(|questions| questions * *per_question as u64);
            self.ctx.progress.report(done, total, "answers of the server");
        };
        let name = |index: usize| format!("question {}", questions[index].id);
        // A question has all of its answers or none.
        let failed = first - before / per_question;
        let allowed = self.client.allowance(self.questions, failed, &self.ctx.progress);
        let replies = self.client.ask_most(&chats, name, server::ANY, &progress, allowed)?;
        let mut answers = Vec::with_capacity(questions.len() * per_question);
        for (question, reply) in questions.iter().zip(replies) {
            let Some(reply) = reply else { continue };
            for (sample, choice) in reply.choices.into_iter().enumerate() {
                let mut text = choice.text;
                if let Some(at) = first_stop(&text, &self.candidates.stop) {
                    text.truncate(at);
                }
                let tokens = self.tokenizer.encode(&text).len() + usize::from(choice.ended);
                let said = Said { text, tokens, ended: choice.ended };
                answers.push(answer(question, form(self.candidates, question), sample, said));
            }
        }
        Ok(answers)
    }
}
