//! Degenerate answers: a line, phrase or paragraph that is repeated until the length limit. The figure of
//! the paper that shows a receipt has one on its chosen side.
//!
//! How often something must stand in a row depends on what it is, since an honest answer may
//! list alike things: a phrase more often than a paragraph or several lines, a numbered one more
//! often yet, and each of them more often where the answer came to its end.

use std::collections::HashMap;

/// The share of the text that the repetitions make up.
const LEAST_SHARE: f64 = 0.5;
/// And their length together, in characters: `1000000000` repeats nothing.
const LEAST_CHARS: usize = 60;
/// The same of marks without letters and digits: a rule of dashes, a table's frame.
const LEAST_MARKS: usize = 400;
/// Fewest repetitions of anything.
const LEAST_REPEATS: usize = 4;
/// A phrase of so many characters is a long one.
const LONG: usize = 80;
/// A text with a larger share of different words is not searched: four repetitions that are
/// half of its words leave at most 1/2 + 1/8 of them different.
const MOST_DIFFERENT: f64 = 0.63;
/// Fewest words that this can be told from.
const LEAST_WORDS: usize = 16;
/// Places of a text that are looked at to rule a period out.
const PROBES: usize = 32;
/// What stands for the number of an item.
const NUMBER: char = '\u{1}';

/// Whether most of a text is one phrase over and over. The last repetition may be cut off,
/// and something may follow: a loop that found its way out is no answer to prefer either.
pub fn is_degenerate(text: &str, ended: bool) -> bool {
    let text = unnumbered(text.trim());
    if text.len() < LEAST_CHARS || varies(&text) {
        return false;
    }
    let chars: Vec<char> = text.chars().collect();
    (1..=chars.len() / LEAST_REPEATS).any(|period| {
        may_repeat(&chars, period)
            && stretch(&chars, period).is_some_and(|stretch| is_loop(stretch, period, ended))
    })
}

/// A text with one mark for the number in each line that counts up by one from the last line which is
/// written alike: `Step 3: …`, `3 | …`, `… (3)`. The first of several counts; a price is none.
pub fn uncounted(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let numbers: Vec<Vec<(usize, &str)>> = lines.iter().map(|line| numbers(line)).collect();
    let mut last: HashMap<String, usize> = HashMap::new();
    let mut counter: Vec<Option<usize>> = vec![None; lines.len()];
    for at in (0..lines.len()).filter(|&at| !numbers[at].is_empty()) {
        let alike: String = lines[at].chars().filter(|c| !c.is_ascii_digit()).collect();
        let Some(before) = last.insert(alike, at) else { continue };
        let counts = |(old, new): (&(usize, &str), &(usize, &str))| {
            let value = |text: &str| text.parse::<u64>().ok();
            value(old.1).zip(value(new.1)).is_some_and(|(old, new)| old.checked_add(1) == Some(new))
        };
        let found = numbers[before].iter().zip(&numbers[at]).position(counts);
        counter[at] = found;
        counter[before] = counter[before].or(found);
    }
    let plain = |at: usize| match counter[at].map(|number| numbers[at][number]) {
        Some((start, digits)) => {
            let (before, after) = lines[at].split_at(start);
            format!("{before}{NUMBER}{}", &after[digits.len()..])
        }
        None => lines[at].to_owned(),
    };
    (0..lines.len()).map(plain).collect::<Vec<_>>().join("\n")
}

/// The whole numbers of a line and where each begins; those of a decimal are none.
fn numbers(line: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(begin) = line[start..].find(|c: char| c.is_ascii_digit()).map(|at| start + at) {
        let is_of_decimal = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
        let end = line[begin..].find(|c| !is_of_decimal(c)).map_or(line.len(), |at| begin + at);
        let number = line[begin..end].trim_end_matches(['.', ',']);
        if number.bytes().all(|b| b.is_ascii_digit()) {
            found.push((begin, number));
        }
        start = end;
    }
    found
}

/// A text with one mark for the numbers of its items, at the start of a line or behind a comma: `1. `, `12) `.
fn unnumbered(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut begins_item = true;
    while let Some(c) = rest.chars().next() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let behind = &rest[digits..];
        let mut marks = behind.chars();
        let is_number = digits > 0
            && marks.next().is_some_and(|mark| ".):、．".contains(mark))
            && !marks.next().is_some_and(|c| c.is_ascii_digit());
        if begins_item && is_number {
            plain.push(NUMBER);
            rest = behind;
        } else {
            plain.push(c);
            rest = &rest[c.len_utf8()..];
        }
        begins_item = c == '\n' || ",;".contains(c) || (begins_item && " \t#(-*".contains(c));
    }
    plain
}

/// Whether its words differ too much for a run.
fn varies(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let different: std::collections::HashSet<&&str> = words.iter().collect();
    words.len() >= LEAST_WORDS && different.len() as f64 > MOST_DIFFERENT * words.len() as f64
}

/// Whether enough of some places spread over a text equal those a period before them: of a
/// stretch that counts, at least 3/8 of the whole do.
fn may_repeat(chars: &[char], period: usize) -> bool {
    let places = chars.len() - period;
    let probes = PROBES.min(places);
    let at = |probe: usize| period + probe * places / probes;
    let equal = (0..probes).filter(|&probe| chars[at(probe)] == chars[at(probe) - period]).count();
    4 * equal >= probes
}

/// The longest stretch that has this period, where it is long enough for anything.
fn stretch(chars: &[char], period: usize) -> Option<&[char]> {
    let (mut run, mut longest, mut end) = (0, 0, 0);
    for index in period..chars.len() {
        run = if chars[index] == chars[index - period] { run + 1 } else { 0 };
        if run > longest {
            (longest, end) = (run, index + 1);
        }
    }
    let length = longest + period;
    let least = (LEAST_SHARE * chars.len() as f64).ceil() as usize;
    (length >= least.max(LEAST_REPEATS * period).max(LEAST_CHARS))
        .then(|| &chars[end - length..end])
}

/// Whether a stretch of this period is a loop.
fn is_loop(stretch: &[char], period: usize, ended: bool) -> bool {
    let unit = &stretch[..period];
    if is_repetition(unit) {
        // Its own period is looked at too.
        return false;
    }
    if !unit.iter().any(|c| c.is_alphanumeric()) {
        return stretch.len() >= LEAST_MARKS;
    }
    let lines = (0..period).filter(|&at| unit[at] != '\n' && unit[(at + 1) % period] == '\n');
    let least = match (lines.count() > 1 || period >= LONG, unit.contains(&NUMBER)) {
        (true, _) => 6,
        (false, false) => 16,
        (false, true) => 32,
    };
    // Whoever is cut off has not counted to an end.
    let least = if ended { least } else { (least / 2).max(LEAST_REPEATS) };
    stretch.len() >= least * period
}

/// Whether a phrase is itself a shorter one over and over.
fn is_repetition(unit: &[char]) -> bool {
    // The lengths of prefixes that are suffixes too (Knuth, Morris and Pratt).
    let mut borders = vec![0; unit.len()];
    for at in 1..unit.len() {
        let mut border = borders[at - 1];
        while border > 0 && unit[at] != unit[border] {
            border = borders[border - 1];
        }
        borders[at] = border + usize::from(unit[at] == unit[border]);
    }
    let own = unit.len() - borders.last().copied().unwrap_or_default();
    own < unit.len() && unit.len().is_multiple_of(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_repeated_to_the_limit_is_degenerate() {
        let line = "Kani Don (Fried Rice with Tuna): 9.00";
        for between in ["\n", ", ", " ", "\n\n", "; "] {
            let whole = vec![line; 390].join(between);
            assert!(is_degenerate(&whole, true), "{between:?}");
            // The limit falls anywhere, and something sensible came before.
            let cut = &whole[..whole.len() - 17];
            assert!(
                is_degenerate(&format!("The items on the receipt are:\n\n{cut}"), false),
                "{between:?}"
            );
            assert!(is_degenerate(&format!("{cut}\nFinal answer: 9.00"), true), "{between:?}");
        }
        assert!(is_degenerate(&"好的。".repeat(100), true));
        assert!(is_degenerate(&"the the ".repeat(40), true));
        let two = "b1 red circle, b2 red square, ".repeat(20);
        assert!(is_degenerate(&two, true));
    }

    #[test]
    fn long_numbered_and_mixed_repetitions_are_loops() {
        let sentences: Vec<String> =
            (0..11).map(|n| format!("Sentence {n} is about a thing.")).collect();
        let paragraph = sentences.join(" ");
        assert!(paragraph.len() > 300);
        for between in ["\n", "\n\n", " "] {
            assert!(is_degenerate(&[paragraph.as_str(); 12].join(between), true), "{between:?}");
        }
        let numbered = |between: &str, mark: &str| -> String {
            let item = |n| format!("{n}{mark} Kani Don (Fried Rice with Tuna): 9.00");
            (1..=390).map(item).collect::<Vec<_>>().join(between)
        };
        for (between, mark) in [("\n", "."), ("\n", ")"), (", ", "."), ("\n\n", ":")] {
            assert!(is_degenerate(&numbered(between, mark), true), "{between:?} {mark:?}");
        }
        let three = ["Tea: 3.00", "Rice with tuna: 9.00", "Soup of the day: 4.50"].join("\n");
        assert!(is_degenerate(&[three.as_str(); 7].join("\n"), true));
        assert!(is_degenerate(&"red circle, ".repeat(9), false));
    }

    #[test]
    fn lines_that_count_are_alike() {
        let counted = |line: &dyn Fn(usize) -> String, between: &str, count: usize| -> String {
            uncounted(&(1..=count).map(line).collect::<Vec<_>>().join(between))
        };
        let dish = "Kani Don (Fried Rice with Tuna): 9.00";
        let forms: [&dyn Fn(usize) -> String; 8] = [
            &|n| format!("Item {n}: {dish}"),
            &|n| format!("Step {n}: we look at the same row again."),
            &|n| format!("{n} | {dish}"),
            &|n| format!("{n} {dish}"),
            &|n| format!("{dish} ({n})"),
            &|n| format!("第{n}项：炒饭和金枪鱼"),
            &|n| format!("| {} | {dish} |", n + 40),
            &|n| format!("Dish {n}\n{dish}"),
        ];
        for line in forms {
            for between in ["\n", "\n\n"] {
                let text = counted(line, between, 199);
                assert!(is_degenerate(&text, true), "{}", line(1));
            }
            assert!(!is_degenerate(&counted(line, "\n", 5), true), "{}", line(1));
        }
        // What grows beside the counter tells the lines apart; so do prices.
        for honest in
            [&|n| format!("Item {n}: {}.00", n * 3), &|n| format!("{n} + {n} = {}", 2 * n), &|n| {
                format!("Tea: {n}.50")
            }] as [&dyn Fn(usize) -> String; 3]
        {
            assert!(!is_degenerate(&counted(honest, "\n", 60), true), "{}", honest(1));
        }
        assert_eq!(uncounted("a 1\nb 2\n\nc"), "a 1\nb 2\n\nc");
    }

    #[test]
    fn what_only_looks_alike_is_not() {
        let lines: Vec<String> = (0..60).map(|n| format!("Item {n}: {}.00", n * 3)).collect();
        let receipt = lines.join("\n");
        let few = ["Kani Don (Fried Rice with Tuna): 9.00"; 7].join("\n");
        let table = "| a | b | c | d |\n|---|---|---|---|\n| 1 | 2 | 3 | 4 |\n| 5 | 6 | 7 | 8 |\n";
        let answer = "There are 3 red and 4 blue ones.\n3 + 4 = 7.\nFinal answer: 7";
        let scene = "a1 red circle 1, b1 red circle 2, c1 red circle 3, d1 red circle 4, a2 red circle 5, \
                     b2 red circle 6, c2 red circle 7.\nred circles: 7.\nFinal answer: 7";
        let alike =
            format!("I see {}.\nFinal answer: 9", ["a red circle with a dot"; 9].join(", "));
        let items: Vec<String> = (1..=12).map(|n| format!("{n}. red circle with a dot")).collect();
        let items = format!("{}\nFinal answer: 12", items.join("\n"));
        let rule = format!("Total\n{}\nThe sum is 7.\nFinal answer: 7", "-".repeat(80));
        let fine = [receipt.as_str(), &few, table, answer, scene, &alike, &items, &rule];
        for fine in
            fine.into_iter().chain(["", "1000000000000", "0.0000000", "1.", "12", "1、茶\n2、茶"])
        {
            assert!(!is_degenerate(fine, true), "{fine}");
        }
    }

    #[test]
    fn a_short_loop_in_a_long_text_is_not_most_of_it() {
        let words: Vec<String> = (0..400).map(|n| format!("word{n}")).collect();
        let text = format!("{}\n{}", words.join(" "), ["over and over"; 10].join(" "));
        assert!(!is_degenerate(&text, true));
    }
}
