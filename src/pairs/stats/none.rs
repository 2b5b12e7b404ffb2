//! Why there is no pair, and what to change.

use super::Stats;
use crate::Error;
use crate::pairs::no_pairs;
use crate::spec::pairs::{Pairs, Source};

/// What leaves answers and pairs out, with its word in statistics, in the order of messages.
const DROPS: [(&str, &str); 7] = [
    ("unjudged", "answers were left out because the judge failed"),
    ("degenerate", "answers repeat themselves until they are cut off"),
    ("empty_answer", "answers have no text"),
    ("entailed", "pairs were skipped because the right answer is part of the wrong one"),
    ("over_count", "pairs were made, and are more than `pairs.counts` takes"),
    ("over_weight", "pairs were made, and are more than `pairs.weights` gives them room for"),
    ("over_max", "pairs were made, and are more than `pairs.max`"),
];

const COUNTS: &str =
    "raise the number of their kind in `[pairs.counts]`, or take it out: 0 keeps none";
const JUDGE: &str = "see why the judge failed: what `[pairs.judge]` names must answer, or set \
                     `pairs.correctness.consistency` to \"rule\" or \"none\" where it was asked for that";

impl Stats {
    /// The error of a stage without any pair.
    pub fn why_none(&self, settings: &Pairs) -> Error {
        if !settings.builds(Source::Correctness) {
            return self.why_none_of_others();
        }
        let questions = self.questions.get("all").copied().unwrap_or_default();
        let mut left: Vec<String> = self.left_out(settings).collect();
        if questions == 0.0 && left.is_empty() {
            return no_pairs(
                "no question with a known answer has candidates",
                "give `corpus.train` questions, and sample candidates for them",
            );
        }
        if questions == 0.0 {
            let open = self.count("open_questions");
            if open > 0 {
                left.push(format!("{open} questions that are open-ended, or have no known answer"));
            }
            return no_pairs(
                &format!("left out are {}", left.join("; ")),
                "change the settings that are named, or give `corpus.train` other questions",
            );
        }
        let left = left.into_iter().map(|left| format!("left out are {left}"));
        let reason = format!(
            "of {questions} questions, {} have right answers only, {} wrong ones only, and {} none that \
             can be read",
            self.only_right, self.only_wrong, self.only_unparsable,
        );
        let all: Vec<String> = [reason].into_iter().chain(self.drops()).chain(left).collect();
        no_pairs(&all.join("; "), self.hint(settings))
    }

    /// How many right answers contradict themselves.
    fn inconsistent(&self) -> usize {
        self.means.get(&("all".to_owned(), "inconsistent")).map_or(0, |(sum, _)| *sum as usize)
    }

    /// What was dropped on the way, counted.
    fn drops(&self) -> impl Iterator<Item = String> {
        let inconsistent = (self.inconsistent(), "right answers contradict themselves");
        let others = DROPS.map(|(reason, about)| (self.count(reason), about));
        let all = [inconsistent].into_iter().chain(others).filter(|(count, _)| *count > 0);
        all.map(|(count, about)| format!("{count} {about}"))
    }

    /// What to change: what takes most of the pairs first.
    fn hint(&self, settings: &Pairs) -> &'static str {
        let takes_unreadable = settings.correctness.format_negatives;
        if self.count("over_count") > 0 {
            COUNTS
        } else if self.count("over_weight") > 0 {
            "raise `pairs.max` or the weight of their kind in `[pairs.weights]`"
        } else if self.count("unjudged") > 0 {
            JUDGE
        } else if self.inconsistent() > 0 {
            "`pairs.correctness.consistency` drops these right answers: set it to \"none\", or raise \
             `candidates.per_question`"
        } else if self.right_and_unparsable > 0 && !takes_unreadable {
            "set `pairs.correctness.format_negatives = true`: an answer that cannot be read is then the \
             worse one"
        } else if self.right_and_unparsable > 0 && self.count("empty_answer") > 0 {
            "an answer without text is no worse one: see why they are empty, or raise \
             `candidates.per_question`"
        } else if self.count("degenerate") > 0 {
            "an answer that repeats itself is never the better one: raise `candidates.temperature`, or \
             train the base longer"
        } else if self.only_wrong + self.only_unparsable > self.only_right {
            "the model is too weak for its questions: train the base longer, raise \
             `candidates.per_question`, or set `pairs.correctness.format_negatives = true`"
        } else {
            "the answers hardly vary: raise `candidates.temperature` or `candidates.per_question`, \
             or ask harder questions"
        }
    }

    fn why_none_of_others(&self) -> Error {
        let all = self.skipped.iter().filter(|((task, _), _)| task == "all");
        let reasons: Vec<String> = all
            .map(|((_, reason), count)| format!("{count} {}", reason.replace('_', " ")))
            .collect();
        let reason = match reasons.is_empty() {
            true => "no answer is one that the sources of `pairs.sources` look at".to_owned(),
            false => format!("left out were {}", reasons.join(", ")),
        };
        let hint = if self.count("over_count") > 0 {
            COUNTS
        } else if self.count("unjudged") > 0 {
            JUDGE
        } else {
            "they look at open-ended questions, such as those of the family `describe`, unless \
             `of` of `[pairs.dropout_ntp]` or `[pairs.divide_and_conquer]` says otherwise"
        };
        no_pairs(&reason, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::{Answer, Verdict};
    use crate::spec::candidates::Prompt;
    use crate::spec::embedded;

    fn answers(verdicts: &[Verdict]) -> Vec<Answer> {
        let answer = |verdict: &Verdict| Answer {
            question: "q".into(),
            prompt: Prompt::Cot,
            sample: 0,
            text: "a".into(),
            tokens: 2,
            ended: true,
            final_answer: None,
            verdict: Some(*verdict),
        };
        verdicts.iter().map(answer).collect()
    }

    #[test]
    fn what_was_dropped_is_counted_and_the_hint_fits() {
        use Verdict::{Right, Unparsable, Wrong};
        type Drop = fn(&mut Stats);
        let cases: [(&[Verdict], bool, Drop, &str, &str); 7] = [
            (
                &[Right, Wrong],
                false,
                |s| s.checked("t", 2, 2),
                "2 right answers contradict",
                "consistency",
            ),
            (
                &[Right, Wrong],
                false,
                |s| s.skipped("t", "unjudged", 3),
                "3 answers were left out",
                "the judge",
            ),
            (
                &[Right, Wrong],
                false,
                |s| s.skipped("all", "over_count", 4),
                "4 pairs were made",
                "[pairs.counts]",
            ),
            (
                &[Right, Unparsable],
                false,
                |_| (),
                "1 have right answers only",
                "format_negatives = true",
            ),
            (
                &[Right, Unparsable],
                true,
                |s| s.skipped("t", "empty_answer", 1),
                "1 answers have no text",
                "empty",
            ),
            (
                &[Right, Wrong],
                false,
                |s| s.looping("t", 7),
                "1 answers repeat themselves",
                "repeats itself",
            ),
            (&[Right], false, |_| (), "1 have right answers only", "candidates.temperature"),
        ];
        for (verdicts, format_negatives, drop, reason, hint) in cases {
            let mut settings = embedded().pairs.clone();
            settings.correctness.format_negatives = format_negatives;
            let mut stats = Stats::default();
            let answers = answers(verdicts);
            stats.asked("t", &answers.iter().collect::<Vec<_>>());
            drop(&mut stats);
            let error = stats.why_none(&settings);
            assert!(error.to_string().contains(reason), "{error}");
            let told = error.hint_text().unwrap_or_default();
            assert!(told.contains(hint), "{told}");
        }
    }

    #[test]
    fn an_answer_that_repeats_itself_counts_once() {
        let mut stats = Stats::default();
        for answer in [3, 4, 3] {
            stats.looping("t", answer);
        }
        assert_eq!((stats.count("degenerate"), stats.skipped[&("t".into(), "degenerate")]), (2, 2));
    }
}
