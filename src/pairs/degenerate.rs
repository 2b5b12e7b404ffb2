//! Degenerate answers: a line or phrase that is repeated until the length limit. The figure of
//! the paper that shows a receipt has one on its chosen side.

/// So many repetitions in a row.
const LEAST_REPEATS: usize = 8;
/// The share of the text that they make up.
const LEAST_SHARE: f64 = 0.5;
/// And their length together, in characters: `1000000000` repeats nothing.
const LEAST_CHARS: usize = 60;
/// Longest phrase that is looked for, in characters.
const LONGEST_PHRASE: usize = 400;
/// A text with a larger share of different words is not searched: eight repetitions that are
/// half of its words leave at most 1/2 + 1/16 of them different.
const MOST_DIFFERENT: f64 = 0.57;
/// Fewest words that this can be told from.
const LEAST_WORDS: usize = 16;

/// Whether most of a text is one phrase over and over. The last repetition may be cut off,
/// and something may follow: a loop that found its way out is no answer to prefer either.
pub fn is_degenerate(text: &str) -> bool {
    if text.len() < LEAST_CHARS || varies(text) {
        return false;
    }
    let chars: Vec<char> = text.trim().chars().collect();
    let longest = LONGEST_PHRASE.min(chars.len() / LEAST_REPEATS);
    (1..=longest).any(|period| repeats(&chars, period))
}

/// Whether its words differ too much for a run.
fn varies(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let different: std::collections::HashSet<&&str> = words.iter().collect();
    words.len() >= LEAST_WORDS && different.len() as f64 > MOST_DIFFERENT * words.len() as f64
}

/// Whether some stretch has this period for long enough.
fn repeats(chars: &[char], period: usize) -> bool {
    let least = (LEAST_SHARE * chars.len() as f64).ceil() as usize;
    let least = least.max(LEAST_REPEATS * period).max(LEAST_CHARS);
    // So many characters equal the one a period before them, in a row.
    let mut run = 0;
    for index in period..chars.len() {
        run = if chars[index] == chars[index - period] { run + 1 } else { 0 };
        if run + period >= least {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_repeated_to_the_limit_is_degenerate() {
        let line = "Kani Don (Fried Rice with Tuna): 9.00";
        for between in ["\n", ", ", " ", "\n\n", "; "] {
            let whole = vec![line; 390].join(between);
            assert!(is_degenerate(&whole), "{between:?}");
            // The limit falls anywhere, and something sensible came before.
            let cut = &whole[..whole.len() - 17];
            assert!(
                is_degenerate(&format!("The items on the receipt are:\n\n{cut}")),
                "{between:?}"
            );
            assert!(is_degenerate(&format!("{cut}\nFinal answer: 9.00")), "{between:?}");
        }
        assert!(is_degenerate(&"好的。".repeat(100)));
        assert!(is_degenerate(&"the the ".repeat(40)));
        let two = "b1 red circle, b2 red square, ".repeat(20);
        assert!(is_degenerate(&two));
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
        for fine in [receipt.as_str(), &few, table, answer, scene, "", "1000000000000", "0.0000000"]
        {
            assert!(!is_degenerate(fine), "{fine}");
        }
    }

    #[test]
    fn a_short_loop_in_a_long_text_is_not_most_of_it() {
        let words: Vec<String> = (0..400).map(|n| format!("word{n}")).collect();
        let text = format!("{}\n{}", words.join(" "), ["over and over"; 10].join(" "));
        assert!(!is_degenerate(&text));
    }
}
