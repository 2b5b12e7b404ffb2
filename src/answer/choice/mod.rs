//! Multiple choice: which option a prediction picks.
//!
//! [`letter`] reads letters in every style that models write; [`infer`] adds the options' texts and
//! values, [`denial`] hears what is ruled out, and [`contradicts_itself`] who names one option by
//! its letter and another by its text. All prefer to pick nothing over guessing: two letters, a
//! negation, an empty option or a part of a longer word pick nothing.

mod against;
pub mod denial;
pub mod letter;
mod mention;

use super::matching::vqa_equal;
use super::metric::option::REFUSALS;
use super::metric::yes_no::{said, settled};
use super::python::text::{collapse, len, strip};
use super::quantity;
pub use against::contradicts_itself;
use denial::negated;
use letter::{Lead, goes_on, lead, named, pick};
pub use mention::{is_part_of_number, occurrence};

/// Most options that letters can name.
pub const MOST: usize = 26;

/// The letter of an option: `A` for the first.
pub fn name(index: usize) -> char {
    debug_assert!(index < MOST);
    char::from(b'A' + index as u8)
}

/// Which option a known answer names: by its letter, else by its text.
pub fn index(choices: &[String], answer: &str) -> Option<usize> {
    let by_letter = lead(answer, choices.len().min(MOST))
        .filter(|lead| lead.rest.is_empty() || same_text(&choices[lead.index], lead.rest));
    by_letter.map(|lead| lead.index).or_else(|| only(whole_text(choices, answer)))
}

/// Which option a prediction picks; none where it picks none, or more than one.
///
/// In this order: a letter alone; the whole text of one option, or its value; a letter in front;
/// "the answer is X" in several languages; exactly one letter among the last four words; exactly
/// one option's text within a prediction that is at most twice as long as all options; of the options
/// yes and no the one that is said; the number of an option in Korean. A letter with the text of
/// another option picks nothing.
///
/// # Source
///
/// The order is that of VLMEvalKit's `can_infer`. Departures are rules of `prefab verify metrics`.
pub fn infer(choices: &[String], prediction: &str) -> Option<usize> {
    let refuses = REFUSALS.iter().any(|refusal| prediction.contains(refusal));
    if choices.is_empty()
        || choices.len() > MOST
        || refuses
        || contradicts_itself(choices, prediction)
    {
        return None;
    }
    let alone = lead(prediction, choices.len()).filter(|lead| lead.rest.is_empty());
    alone
        .map(|lead| lead.index)
        .or_else(|| only(whole_text(choices, prediction)))
        .or_else(|| front_text(choices, prediction))
        .or_else(|| by_value(choices, prediction))
        .or_else(|| only((0..choices.len()).filter(|&at| vqa_equal(&choices[at], prediction))))
        .or_else(|| match pick(prediction, choices.len()) {
            letter::Pick::One(index) => Some(index),
            letter::Pick::Several => None,
            letter::Pick::None => by_text(choices, prediction)
                .or_else(|| by_yes_or_no(choices, prediction))
                .or_else(|| by_number(choices, prediction)),
        })
}

/// `A cat` or `A. cat`, where the first option is "cat": a letter and that option's text, which may
/// deny something.
fn front_text(choices: &[String], prediction: &str) -> Option<usize> {
    let spaced = || {
        let (first, rest) = strip(prediction).split_once(' ')?;
        lead(first, choices.len())
            .filter(|lead| lead.rest.is_empty())
            .map(|lead| (lead.index, rest))
    };
    let delimited = lead(prediction, choices.len()).map(|Lead { index, rest }| (index, rest));
    let is_own = |&(index, rest): &(usize, &str)| same_text(&choices[index], rest);
    delimited.filter(is_own).or_else(|| spaced().filter(is_own)).map(|(index, _)| index)
}

/// Of options that all say yes or no, the only one that says what a prediction of any length begins
/// with and does not take back.
pub fn by_yes_or_no(choices: &[String], prediction: &str) -> Option<usize> {
    let first = prediction.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty())?;
    if !["yes", "no"].contains(&first.to_lowercase().as_str()) {
        return None;
    }
    let says: Option<Vec<bool>> = choices.iter().map(|choice| said(&bare(choice))).collect();
    let (says, wanted) = (says?, settled(prediction)?);
    only((0..says.len()).filter(|&index| says[index] == wanted))
}

/// `4번`: the option of that number, where no option's text has a digit, which it may mean.
fn by_number(choices: &[String], prediction: &str) -> Option<usize> {
    let text = strip(prediction);
    let text = ["정답은", "정답:", "답은", "답:"]
        .iter()
        .find_map(|it| text.strip_prefix(it))
        .unwrap_or(text);
    let (number, end) = strip(text).split_once('번')?;
    let ends = ["", "입니다", "이다", "이에요", "예요"].contains(&end.trim_end_matches(['.', ' ']));
    let place = number.parse::<usize>().ok()?.checked_sub(1)?;
    let counts = choices.iter().any(|choice| choice.contains(|c: char| c.is_ascii_digit()));
    (ends && !counts && place < choices.len()).then_some(place)
}

/// The only option whose number, or list of numbers, the whole of a prediction is: `12` of `12 cm`,
/// `three` of `3`. A sum among the options is no number here, since its value is not what it says.
pub fn by_value(choices: &[String], prediction: &str) -> Option<usize> {
    let same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs();
    let is = |choice: &str| {
        !choice.contains(['+', '*', '×', '÷', '='])
            && quantity::equal(choice, prediction, same) == Some(true)
    };
    only((0..choices.len()).filter(|&index| is(&choices[index])))
}

/// An option's text as it is compared.
fn bare(text: &str) -> String {
    let wrapping = |c: char| "*_`\"'$.。".contains(c) || c.is_whitespace();
    collapse(&text.to_lowercase().replace('\u{2212}', "-")).trim_matches(wrapping).to_owned()
}

fn same_text(choice: &str, text: &str) -> bool {
    let choice = bare(choice);
    !choice.is_empty() && choice == bare(text)
}

/// The options whose text the whole of an answer is.
pub fn whole_text<'a>(
    choices: &'a [String],
    answer: &'a str,
) -> impl Iterator<Item = usize> + use<'a> {
    (0..choices.len()).filter(move |&index| same_text(&choices[index], answer))
}

/// The option whose text an answer contains.
pub fn by_text(choices: &[String], prediction: &str) -> Option<usize> {
    let text = bare(prediction);
    let total: usize = choices.iter().map(|choice| len(choice)).sum();
    // A long text may mention an option without picking it.
    if len(&text) > 2 * total {
        return None;
    }
    let texts: Vec<String> = choices.iter().map(|choice| bare(choice)).collect();
    let found: Vec<usize> =
        (0..texts.len()).filter(|&index| occurrence(&text, &texts[index]).is_some()).collect();
    // "New York" is no mention of "York".
    let covered = |&index: &usize| {
        let longer = |&other: &usize| other != index && texts[other].contains(&texts[index]);
        let is_inside = found.iter().any(longer);
        let outside = found
            .iter()
            .filter(|other| longer(other))
            .fold(text.clone(), |rest, &other| rest.replace(&texts[other], "\u{0}"));
        is_inside && occurrence(&outside, &texts[index]).is_none()
    };
    let picked = only(found.iter().copied().filter(|index| !covered(index)))?;
    let place = occurrence(&text, &texts[picked])?;
    let after = &text[place + texts[picked].len()..];
    (!negated(&text[..place]) && !denial::follows(after)).then_some(picked)
}

/// The only one of some; none where there are more.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

/// Whether both are the same option letter, or the same text: `(B) cow` is `B`. A letter alone may be
/// that of an option which only the question names, so that a phrase may introduce it.
pub fn same_letter(gold: &str, prediction: &str) -> bool {
    let known = lead(gold, MOST);
    let said = match known {
        Some(Lead { rest: "", .. }) => named(prediction, MOST),
        _ => lead(prediction, MOST),
    };
    match (known, said.filter(|said| !denial::follows(said.rest))) {
        // "B. cow" against "B. cat" may be either. "B, C" names none.
        (Some(gold), Some(prediction)) => {
            let texts_fit = gold.rest.is_empty()
                || prediction.rest.is_empty()
                || vqa_equal(gold.rest, prediction.rest);
            gold.index == prediction.index && texts_fit && !goes_on(prediction.rest, MOST)
        }
        _ => bare(gold) == bare(prediction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn letters_and_texts_pick() {
        let plant = choices(&["nucleus", "cell wall", "root", "leaf"]);
        for (prediction, picked) in [
            ("(C)", Some(2)),
            ("c", Some(2)),
            ("So it must be B.", Some(1)),
            ("A or B", None),
            ("A man rides along the long road", None),
            ("the answer is b, since plants have them there", Some(1)),
            ("the answer is because", None),
            ("The Cell Wall", Some(1)),
            ("It is the **leaf**.", Some(3)),
            ("root or leaf", None),
            ("not the root", None),
            ("roots", None),
            ("A nucleus", Some(0)),
            ("答案是C", Some(2)),
            ("Cannot determine the answer. B", None),
            ("B. root", None),
            ("B: it is the root", None),
            ("B is the root", None),
            ("The answer is B, the root", None),
            ("B. the cell wall", Some(1)),
            ("The answer is B because plants have a root", Some(1)),
            ("all but B", None),
            ("Everything except B", None),
            ("anything other than option B", None),
            ("all of them except for the root", None),
            ("everything but the root", None),
            ("Option B is wrong", None),
            ("B is not right", None),
            ("the root is incorrect", None),
            ("nothing but B", Some(1)),
            ("It is B, not C", None),
            ("除B以外都对", None),
            ("", None),
        ] {
            assert_eq!(infer(&plant, prediction), picked, "{prediction:?}");
        }
    }

    #[test]
    fn what_is_denied_or_doubted_is_not_picked() {
        let colours = choices(&["red", "dark red", "blue", "None of the above"]);
        for prediction in [
            "A가 아닙니다",
            "정답은 A가 아닙니다",
            "A는 틀립니다",
            "A는 오답입니다",
            "A를 제외한",
            "A 빼고 모두",
            "A와 B",
            "A와 B입니다",
            "不选A",
            "不应选A",
            "A并不是",
            "A并非答案",
            "Aではない",
            "A doesn't fit",
            "A does not match",
            "A would be incorrect",
            "A is unlikely",
            "unlikely A",
            "hardly A",
            "I doubt it is A",
            "A가 아니다",
            "A不对",
            "A或B",
            "A 또는 B",
        ] {
            assert_eq!(infer(&colours, prediction), None, "{prediction}");
            assert!(!same_letter("A", prediction), "{prediction}");
        }
        for (prediction, picked) in [
            ("No doubt it is A", 0),
            ("정답은 B이지 A가 아닙니다", 1),
            ("정답은 C입니다", 2),
            ("應選C", 2),
            ("3번", 2),
            ("정답은 3번입니다.", 2),
        ] {
            assert_eq!(infer(&colours, prediction), Some(picked), "{prediction}");
        }
        // An option's own text may deny something; a number may be its text.
        let rates = choices(&["increases", "does not change", "不能确定"]);
        for (prediction, picked) in
            [("B. does not change", Some(1)), ("C不能确定", Some(2)), ("5번", None), ("0번", None)]
        {
            assert_eq!(infer(&rates, prediction), picked, "{prediction}");
        }
        assert_eq!(infer(&choices(&["4번", "2번", "3번"]), "2번"), Some(1));
        assert_eq!(infer(&choices(&["4회", "3회", "2회"]), "2번"), None);
    }

    #[test]
    fn of_yes_and_no_a_sentence_picks_one() {
        let both = choices(&["Yes", "No"]);
        for (prediction, picked) in [
            ("No, it is not", Some(1)),
            ("No, there is not", Some(1)),
            ("No, it isn't.", Some(1)),
            ("Yes, there is one", Some(0)),
            ("Yes, but actually no, there is none", None),
            ("I have no idea what this could be", None),
            ("I would choose the answer for this question as B definitely and surely yes ok", None),
            ("There might well be one", None),
        ] {
            assert_eq!(infer(&both, prediction), picked, "{prediction}");
        }
        let three = choices(&["Yes", "No", "Maybe"]);
        assert_eq!(infer(&three, "No, and I am entirely sure about that"), None);
    }

    #[test]
    fn numbers_are_not_parts_of_numbers() {
        let numbers = choices(&["3", "13", "30", "4"]);
        assert_eq!(infer(&numbers, "13"), Some(1));
        assert_eq!(infer(&numbers, "It is 30"), Some(2));
        for part in ["34", "3.7", "1,300", "-3", "\u{2212}3", "It is -3."] {
            assert_eq!(infer(&numbers, part), None, "{part}");
        }
        assert_eq!(infer(&numbers, "3, I think"), Some(0));
        assert_eq!(infer(&numbers, "between 2-3"), Some(0));
        assert_eq!(infer(&choices(&["-3", "3"]), "is \u{2212}3"), Some(0));
        for (prediction, picked) in
            [("3.0", Some(0)), ("three", Some(0)), ("13 cm", Some(1)), ("1/3", None)]
        {
            assert_eq!(infer(&numbers, prediction), picked, "{prediction}");
        }
        let lengths = choices(&["12 m", "12 cm", "13 cm"]);
        for (prediction, picked) in [
            ("12", None),
            ("12cm", Some(1)),
            ("0.12 m", Some(1)),
            ("13", Some(2)),
            ("13 cm²", None),
        ] {
            assert_eq!(infer(&lengths, prediction), picked, "{prediction}");
        }
        let sums = choices(&["a+b", "a-b", "2+3", "6"]);
        for (prediction, picked) in
            [("a+b", Some(0)), ("a + b", Some(0)), ("a+b+c", None), ("5", None)]
        {
            assert_eq!(infer(&sums, prediction), picked, "{prediction}");
        }
        let cities = choices(&["New York", "York", "Paris"]);
        assert_eq!(infer(&cities, "It is New York"), Some(0));
        assert_eq!(infer(&cities, "It is York"), Some(1));
        assert_eq!(infer(&cities, "New York or York"), None);
        assert_eq!(infer(&choices(&["", "x"]), "y"), None);
    }

    #[test]
    fn known_answers_name_an_option() {
        let animals = choices(&["dog", "cat", "A"]);
        assert_eq!(index(&animals, "B"), Some(1));
        assert_eq!(index(&animals, "(B) cat"), Some(1));
        assert_eq!(index(&animals, "cat"), Some(1));
        assert_eq!(index(&animals, "cow"), None);
        assert_eq!(index(&animals, "D"), None);
    }

    #[test]
    fn letters_are_compared_without_their_text() {
        assert!(
            same_letter("(B) cow", "B. a cow") && same_letter("B", " B ") && same_letter("b", "B")
        );
        assert!(!same_letter("3", "3.14") && !same_letter("A", "B") && !same_letter("A", "A cat"));
        assert!(same_letter("cat", "Cat."));
    }
}
