//! What benchmarks count for answers and for a judge's replies.

use prefab::data::record::{Answer, Question};
use prefab::eval::benchmark::judged::Grade;
use prefab::eval::{Asked, Counted, Counts, Row, benchmark};
use prefab::spec::candidates::Prompt;

/// A question of a file: its known answers, and what the file says beside.
pub fn known(answers: &[&str], meta: &[(&str, &str)]) -> Question {
    let mut answers = answers.iter().map(|&answer| answer.to_owned());
    Question {
        answer: answers.next(),
        aliases: answers.collect(),
        meta: meta.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect(),
        ..Question::default()
    }
}

pub fn with_options(question: Question, choices: &[&str]) -> Question {
    Question { choices: choices.iter().map(|&choice| choice.to_owned()).collect(), ..question }
}

pub fn row(text: &str) -> Row {
    Row {
        answer: Answer {
            question: String::new(),
            prompt: Prompt::Direct,
            sample: 0,
            text: text.to_owned(),
            tokens: 4,
            ended: true,
            final_answer: None,
            verdict: None,
        },
        given_percent: 0,
    }
}

pub fn asked<'a>(question: &'a Question, row: &'a Row, grade: Option<&'a Grade>) -> Asked<'a> {
    Asked { question, row, own: row, likelihood: None, grade }
}

/// What a benchmark counts for some answers.
pub fn counted(name: &str, answers: &[(&Question, &str)]) -> Vec<Counted> {
    let rows: Vec<Row> = answers.iter().map(|(_, said)| row(said)).collect();
    let answers = answers.iter().zip(&rows);
    let all: Vec<Asked<'_>> = answers.map(|((of, _), row)| asked(of, row, None)).collect();
    benchmark(name).unwrap().count(&all)
}

/// What a judge's replies say, and what a benchmark counts for them; `|` parts replies.
pub fn judged(
    name: &str,
    question: &Question,
    replies: &str,
) -> (Vec<Option<Grade>>, Vec<Counted>) {
    let benchmark = benchmark(name).unwrap();
    let read = benchmark.grader().unwrap().read;
    let grades: Vec<Option<Grade>> =
        replies.split('|').map(|reply| read(question, reply)).collect();
    let row = row("An answer.");
    let all: Vec<Asked<'_>> =
        grades.iter().map(|grade| asked(question, &row, grade.as_ref())).collect();
    let counted = benchmark.count(&all);
    (grades, counted)
}

/// The numbers that a judge's reply gives.
pub fn numbers(name: &str, reply: &str) -> Option<Vec<f64>> {
    let (mut grades, _) = judged(name, &Question::default(), reply);
    grades.remove(0).map(|grade| grade.numbers)
}

/// The value of a metric in a group; none where it is undefined.
pub fn measured(name: &str, counted: &[Counted], group: &str, metric: &str) -> Option<f64> {
    let mut sums = Counts::default();
    for one in counted.iter().filter(|one| one.groups.iter().any(|known| known == group)) {
        for (sum, count) in sums.iter_mut().zip(&one.counts) {
            *sum += count;
        }
    }
    let metrics = benchmark(name).unwrap().metrics();
    let found = metrics.iter().find(|known| known.name == metric);
    found.unwrap_or_else(|| panic!("{name} has {metric}")).value.of(&sums)
}

#[track_caller]
pub fn near(found: Option<f64>, expected: Option<f64>, about: &str) {
    let fits = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (found, expected) => found == expected,
    };
    assert!(fits, "{about}: {found:?}, not {expected:?}");
}

#[track_caller]
pub fn all_near(
    name: &str,
    counted: &[Counted],
    metrics: &[&str],
    expected: &[Option<f64>],
    case: &str,
) {
    for (metric, expected) in metrics.iter().zip(expected) {
        let found = measured(name, counted, "all", metric);
        near(found, *expected, &format!("{metric} of {case:?}"));
    }
}

/// Checks the scores of answers to one question.
#[track_caller]
pub fn scores(name: &str, question: &Question, cases: &[(&str, f64)]) {
    for &(said, expected) in cases {
        let score = counted(name, &[(question, said)])[0].score;
        near(score, Some(expected), &format!("{name} {:?} {said:?}", question.answer));
    }
}

/// Checks the scores of answers to questions with some known answers.
#[track_caller]
pub fn gold_scores(name: &str, cases: &[(&[&str], &str, f64)]) {
    for &(golds, said, expected) in cases {
        scores(name, &known(golds, &[]), &[(said, expected)]);
    }
}
