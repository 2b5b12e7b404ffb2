//! What surely contradicts in a reasoned answer: a sum that does not add up, and a conclusion that
//! names another number, option or yes than the final answer. What cannot be read passes.

use super::arithmetic::wrong_sum;
use crate::answer::choice::denial::follows as follows_denial;
use crate::answer::choice::letter::by_phrase;
use crate::answer::choice::{MOST, name};
use crate::answer::matching::{form, taken_apart};
use crate::answer::metric::yes_no::yes_or_no;
use crate::answer::quantity;
use crate::data::record::Question;
use crate::spec::candidates::Prompt;

/// Words of a sentence that concludes.
const CONCLUDES: [&str; 14] = [
    "therefore",
    "thus",
    "hence",
    "so",
    "answer",
    "total",
    "result",
    "equals",
    "sum",
    "altogether",
    "conclusion",
    "finally",
    "overall",
    "combined",
];

/// The same in Chinese and Korean, which part no words.
const CONCLUDES_UNSPACED: [&str; 8] =
    ["所以", "因此", "答案", "总共", "一共", "따라서", "그러므로", "정답"];

/// What a number of a statement stands behind.
const STATES: [&str; 6] = ["is", "are", "was", "=", "equals", "be"];

/// The same in Chinese and Korean, as the end of a word.
const STATES_UNSPACED: [&str; 8] = [":", "：", "=", "是", "为", "有", "은", "는"];

/// Words of a number that is rounded.
const ABOUT: [&str; 6] = ["about", "approximately", "around", "roughly", "nearly", "almost"];

/// What leads to a box, where it is all that a line says.
const LEADS: [&str; 5] = ["answer", "final answer", "the answer is", "答案", "정답"];

/// Words of one number: "two million three hundred thousand and five".
const LONGEST_NUMBER: usize = 8;

/// What a reasoned answer says against itself, if anything. It is taken apart as for its verdict.
pub fn contradiction(question: &Question, prompt: Prompt, text: &str) -> Option<String> {
    if prompt == Prompt::Direct {
        return None;
    }
    let parts = taken_apart(question, form(question, prompt, text)?, text)?;
    // A box may be the right side of the last sum.
    let open = parts.rationale.trim_end().ends_with('=');
    let last = || wrong_sum(&format!("{} {}", parts.rationale, parts.answer)).filter(|_| open);
    if let Some(sum) = wrong_sum(parts.rationale).or_else(last) {
        return Some(format!("`{sum}` does not add up"));
    }
    let rationale = &spaced(parts.rationale);
    let last = last_sentence(rationale);
    number(rationale, last, parts.answer)
        .or_else(|| option(last, parts.answer))
        .or_else(|| denial(last, parts.answer))
}

/// With spaces between digits and letters of Chinese and Korean, and around equals signs.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let unspaced = |c: char| c.is_alphabetic() && !c.is_ascii();
        let parts = |a: char, b: char| unspaced(a) && b.is_ascii_digit();
        if parts(before, c) || parts(c, before) || (c == '=') != (before == '=') {
            spaced.push(' ');
        }
        spaced.push(c);
        before = c;
    }
    spaced
}

/// The last sentence, or line, that says something.
fn last_sentence(rationale: &str) -> &str {
    let says = |line: &&str| {
        let bare = line.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        !bare.is_empty() && !LEADS.contains(&bare.as_str())
    };
    let line = rationale.lines().rev().find(says).unwrap_or_default().trim();
    let body = line.trim_end_matches(|c: char| !c.is_alphanumeric());
    let mut ends = body.match_indices(['.', '!', '?', ';', '。', '！', '？', '；']);
    // A point between digits ends no sentence.
    let breaks = |&(at, mark): &(usize, &str)| {
        mark != "." || body[at + mark.len()..].starts_with(char::is_whitespace)
    };
    let last = ends.rfind(breaks).map_or(line, |(at, mark)| line[at + mark.len()..].trim());
    // "…is 10. Therefore the answer is" goes on in a box.
    let leads = LEADS.iter().any(|lead| {
        last.trim_end_matches(|c: char| !c.is_alphanumeric()).to_lowercase().ends_with(lead)
    });
    let before = line[..line.len() - last.len()].trim_end();
    if leads && !before.is_empty() { last_sentence(before) } else { last }
}

/// A number that the last sentence concludes and the answer is not.
fn number(rationale: &str, last: &str, answer: &str) -> Option<String> {
    let wanted = quantity::read(answer)?.value;
    let (all, concluded) = (numbers(rationale), numbers(last));
    // Only where per cent are spoken of may 50 mean 0.5.
    let percent = [rationale, answer].iter().any(|text| {
        let text = text.to_lowercase();
        ["%", "percent", "per cent"].iter().any(|sign| text.contains(sign))
    });
    let near = |a: f64, b: f64| if is_about(last) { printed(a, b) } else { same(a, b) };
    let same = |a: f64, b: f64| near(a, b) || percent && (near(a * 100.0, b) || near(a, b * 100.0));
    let said = concluded.last()?.value;
    if concluded.iter().any(|number| same(number.value, wanted)) {
        return None;
    }
    let concludes = last.contains('=')
        || words(last).any(|word| CONCLUDES.contains(&word.as_str()))
        || CONCLUDES_UNSPACED.iter().any(|word| last.contains(word));
    let ends_so = concluded.last().is_some_and(|number| number.is_stated && number.is_last);
    let values: Vec<f64> = concluded.iter().map(|number| number.value).collect();
    let leaves_step = follows(&values, wanted);
    // "red = 3 and blue = 4" concludes neither.
    let lists = concluded.iter().filter(|number| number.is_stated).count() > 1 && leaves_step;
    let nowhere = !all.iter().any(|number| same(number.value, wanted)) && !leaves_step;
    (concludes && ends_so && !lists || nowhere && (concludes || ends_so))
        .then(|| format!("the reasoning ends in {said}, and the answer is {answer}"))
}

/// Whether a number follows from a sentence's own by one step, which may be left to the reader.
fn follows(numbers: &[f64], wanted: f64) -> bool {
    let total: f64 = numbers.iter().sum();
    let of_two = |a: f64, b: f64| [a + b, a - b, b - a, a * b, a / b, b / a];
    let pairs = numbers
        .iter()
        .enumerate()
        .flat_map(|(at, &a)| numbers[at + 1..].iter().flat_map(move |&b| of_two(a, b)));
    numbers.len() > 1 && pairs.chain([total]).any(|number| same(number, wanted))
}

/// Equal: whole numbers, years among them, exactly, others as printed.
fn same(a: f64, b: f64) -> bool {
    let are_whole = a.fract() == 0.0 && b.fract() == 0.0;
    if are_whole { a == b } else { printed(a, b) }
}

/// Equal but for what rounding leaves.
fn printed(a: f64, b: f64) -> bool {
    (a - b).abs() <= 5e-3 * a.abs().max(b.abs())
}

/// Whether a sentence says that its number is no exact one.
fn is_about(sentence: &str) -> bool {
    sentence.contains(['≈', '约']) || words(sentence).any(|word| ABOUT.contains(&word.as_str()))
}

/// A number in a text.
struct Placed {
    value: f64,
    /// Whether it stands behind `is`, `=`, `:` or the like.
    is_stated: bool,
    /// Whether a unit at most follows it.
    is_last: bool,
}

/// The numbers of a text, number words among them: "one hundred" and "1.5 million" are one each.
fn numbers(text: &str) -> Vec<Placed> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut numbers = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (length, values) = (2..=LONGEST_NUMBER.min(words.len() - at))
            .rev()
            .find_map(|length| Some((length, vec![phrase(&words[at..at + length])?])))
            .unwrap_or_else(|| (1, of_word(words[at])));
        let before = at.checked_sub(1).map_or(String::new(), |before| words[before].to_lowercase());
        let is_stated = STATES.contains(&before.as_str())
            || STATES_UNSPACED.iter().any(|end| before.ends_with(end));
        let is_last = at + length + 1 >= words.len();
        numbers.extend(values.into_iter().map(|value| Placed { value, is_stated, is_last }));
        at += length;
    }
    numbers
}

/// The value of several words that are one number; sums and lists are none.
fn phrase(words: &[&str]) -> Option<f64> {
    let (first, rest) = words.split_first()?;
    let is_word = |word: &&str| bare(word).chars().all(|c| c.is_alphabetic() || c == '-');
    let ends_early =
        words[..words.len() - 1].iter().any(|word| word.ends_with(['.', ',', ';', ':']));
    let begins = bare(first).starts_with(|c: char| c.is_alphanumeric() || "-\u{2212}".contains(c));
    // "3 dozen" may answer how many dozens there are.
    let counts_parts = first.starts_with(|c: char| c.is_ascii_digit())
        && rest.iter().any(|word| {
            ["dozen", "dozens", "quarters", "halves"].contains(&bare(word))
                || bare(word).ends_with("ths")
                || bare(word) == "thirds"
        });
    let fits = begins && !ends_early && !counts_parts && rest.iter().all(is_word);
    let joined: Vec<&str> = words.iter().map(|word| bare(word)).collect();
    // A unit is no part of it: "3 and blue" and "10 in" are read by their words.
    quantity::read(&joined.join(" "))
        .filter(|read| fits && read.unit.is_none())
        .map(|read| read.value)
}

/// A word without the marks around it.
fn bare(word: &str) -> &str {
    word.trim_start_matches(|c: char| "*`\"'(“[$€£".contains(c))
        .trim_end_matches(|c: char| "*`\"')”].,;:!?$。，".contains(c))
}

/// The numbers of one word.
fn of_word(word: &str) -> Vec<f64> {
    let is_of_number = |c: char| c.is_alphanumeric() || ".,/-\u{2212}".contains(c);
    word.split(|c: char| !is_of_number(c))
        .filter_map(|piece| {
            let piece = piece.trim_matches(['.', ',', '/']);
            // A word may hold a number: `b3` is a place, `5cm` a length.
            let digits = piece.trim_end_matches(|c: char| c.is_alphabetic());
            value(piece).or_else(|| value(digits)).or_else(|| value(digits.trim_start_matches('-')))
        })
        .collect()
}

/// What a word is worth as a number.
fn value(word: &str) -> Option<f64> {
    let begins = word.starts_with(|c: char| c.is_alphanumeric() || "-+\u{2212}.".contains(c));
    quantity::read(word)
        .filter(|_| begins && !quantity::is_range_or_date(word))
        .map(|read| read.value)
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase)
}

/// An option that the last sentence calls the answer, and the answer is another.
fn option(last: &str, answer: &str) -> Option<String> {
    let bare = |text: &str| {
        let text = text.trim_matches(|c: char| !c.is_alphanumeric());
        let mut letters = text.chars();
        let (letter, None) = (letters.next()?, letters.next()) else { return None };
        letter.is_ascii_uppercase().then_some(letter)
    };
    let head = answer
        .split(['.', ')', ':'])
        .find(|part| !part.trim_matches(['(', ' ', '*']).is_empty())?;
    let wanted = bare(head)?;
    let words: Vec<&str> = last.split_whitespace().collect();
    let mut named = words.iter().enumerate().filter_map(|(at, word)| {
        let before = at.checked_sub(1).map(|at| words[at].to_lowercase());
        let letter = bare(word)?;
        let introduced = before.is_some_and(|before| {
            ["is", "option", "choice", "answer", "answer:", "be"].contains(&before.as_str())
        });
        introduced.then_some(letter)
    });
    let said = match (named.next(), named.next()) {
        (Some(said), None) => said,
        // Chinese and Korean part no words.
        (None, _) if !last.is_ascii() => {
            let said = by_phrase(last, MOST).filter(|said| !follows_denial(said.rest))?;
            name(said.index)
        }
        _ => return None,
    };
    (said != wanted)
        .then(|| format!("the reasoning ends in option {said}, and the answer is {answer}"))
}

/// A yes or no that the last sentence calls the answer, and the answer is the other.
fn denial(last: &str, answer: &str) -> Option<String> {
    let wanted = match answer.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().as_str() {
        "yes" => true,
        "no" => false,
        _ => return None,
    };
    let lower = last.to_lowercase();
    let opening = words(last).next().filter(|word| word == "yes" || word == "no");
    let called = lower.rsplit_once("answer is").map(|(_, after)| after.to_owned());
    let said = match (called, opening) {
        (Some(called), _) => yes_or_no(&called)?,
        (None, Some(opening)) => opening == "yes",
        (None, None) => return None,
    };
    let word = if said { "yes" } else { "no" };
    (said != wanted).then(|| format!("the reasoning ends in {word}, and the answer is {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rationale: &str, answer: &str, contradicts: bool) {
        let question = Question { source: "geoqa".into(), ..Question::default() };
        for (prompt, form) in [
            (Prompt::Cot, format!("{rationale}\n\nFinal answer: {answer}")),
            (Prompt::Cot, format!("{rationale}\n\n**Final answer:**\n{answer}")),
            (Prompt::Cot, format!("{rationale}\n\n答案：{answer}")),
            (Prompt::Cot, format!("{rationale}\nAnswer: $\\boxed{{{answer}}}$.")),
            (Prompt::Boxed, format!("{rationale}\nAnswer: \\boxed{{{answer}}}")),
            (Prompt::Boxed, format!("{rationale} Therefore, the answer is $\\boxed{{{answer}}}$.")),
            (Prompt::Visual, format!("{rationale}\n\nFinal answer: {answer}")),
        ] {
            let found = contradiction(&question, prompt, &form);
            assert_eq!(found.is_some(), contradicts, "{form:?}: {found:?}");
        }
    }

    #[test]
    fn a_text_that_reasons_10_and_answers_1000_contradicts_itself() {
        check("The bar reaches the line of 10.\nTherefore, the value is 10.", "1000", true);
        check("The scale runs from 0 to 1000.\nSo the answer is 10.", "1000", true);
        check("Each side is 2 and there are 5.\n2 × 5 = 10.", "1000", true);
        check("First look at the axis.\nThe height of the bar is 10.", "1000", true);
    }

    #[test]
    fn a_sum_that_does_not_add_up_contradicts_itself() {
        check("There are 9 red ones and 9 blue ones.\n9 + 9 = 14.", "14", true);
        check("There are 9 red ones and 9 blue ones.\n9 + 9 = 14", "14", true);
        check("Add the prices.\n3.50 + 2.25 = 6.75. The total is 6.75.", "6.75", true);
        check("Add the prices.\n3.50 + 2.25 = 5.75. The total is 5.75.", "5.75", false);
    }

    #[test]
    fn what_agrees_or_cannot_be_read_passes() {
        check("red shapes: b1 1, c2 2.\nred shapes: 2.", "2", false);
        check("pear 3, apple 4, fig 9.\n3 + 4 = 7, 7 + 9 = 16.", "16", false);
        check("Look at both.\nThere are 3 red and 2 blue shapes.", "5", false);
        check("Half of them are left.\nSo 1/2 of the 8 are red, that is 50%.", "0.5", false);
        check("We count.\nTherefore there are ten of them.", "10", false);
        check("c1 blue circle, d1 yellow circle.\nyellow circle: d1.", "yes", false);
        check("The plant needs light.\nIt grows towards the window.", "B", false);
        check("In 2010 the bar is the tallest.\nIt was the year of the most sales.", "2010", false);
        check("Look.\nThe company sold 1,200 in total.", "1200", false);
    }

    #[test]
    fn numbers_are_read_however_they_are_written() {
        check("We count them all.\nSo the answer is one hundred.", "100", false);
        check("We count them all.\nSo the answer is one hundred.", "1", true);
        check("The axis is in millions.\nSo the value is 1.5 million.", "1500000", false);
        check("The axis is in millions.\nSo the value is 1.5 million.", "1.5", true);
        check("We count both.\nred = 3 and blue = 4", "7", false);
        check("We count them.\nSo there are 3 dozen.", "3", false);
        check("Both ends are given.\nFrom 1990-2010 = 20 years.", "20", false);
        check("We count both.\nSo red is 3 and blue is 4.", "7", false);
        check("We count both.\nred = 3 and blue = 4", "9", true);
        check("看纵轴。\n所以值是10。", "1000", true);
        check("看纵轴。\n所以值是1000。", "1000", false);
    }

    #[test]
    fn whole_numbers_and_years_are_exact() {
        check("Look at the axis.\nSo the answer is 2012.", "2013", true);
        check("Look at the axis.\nTherefore it was in 1998.", "2004", true);
        check("Count them all.\nThe total is 200.", "201", true);
        check("Count them all.\nThe total is 200.", "200.0", false);
        check("Count them all.\nThe total is about 200.", "201", false);
        check("Divide them.\nSo the answer is 0.667.", "2/3", false);
    }

    #[test]
    fn a_box_may_close_the_last_sum() {
        let question = Question { source: "geoqa".into(), ..Question::default() };
        for (right, contradicts) in [("14", true), ("18", false)] {
            let text = format!("There are nine and nine.\nSo 9 + 9 = \\boxed{{{right}}}.");
            let found = contradiction(&question, Prompt::Boxed, &text);
            assert_eq!(found.is_some(), contradicts, "{text}: {found:?}");
        }
    }

    #[test]
    fn options_and_yes_or_no_are_heard() {
        check("Heat rises.\nSo the answer is B.", "C", true);
        check("Heat rises.\nSo the correct option is (B).", "B", false);
        check("Heat rises.\nSo the answer is B.", "(B) warm air", false);
        check("热空气上升。\n因此答案是B。", "C", true);
        check("热空气上升。\n因此答案是B。", "B", false);
        check("热空气上升。\n因此应选择选项B。", "(C)", true);
        check("热空气上升。\n所以B不是答案。", "C", false);
        check("There is one.\nTherefore the answer is no.", "Yes", true);
        check("There is one.\nYes, there is a dog.", "no", true);
        check("There is none.\nThere is no dog in the picture.", "no", false);
    }
}
