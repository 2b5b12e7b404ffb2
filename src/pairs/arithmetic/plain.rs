//! One way to write an operator.

/// A line with the many ways to write an operator made one.
pub(super) fn plain(line: &str) -> String {
    let replaced = [
        ("\\times", "*"),
        ("\\cdot", "*"),
        ("\\div", "/"),
        ("\\left", ""),
        ("\\right", ""),
        ("×", "*"),
        ("·", "*"),
        ("∗", "*"),
        ("⋅", "*"),
        ("÷", "/"),
        ("\u{2212}", "-"),
        ("–", "-"),
        ("\\$", ""),
        ("$", ""),
        ("€", ""),
        ("£", ""),
        ("**", ""),
        ("\\(", ""),
        ("\\)", ""),
        ("\\[", ""),
        ("\\]", ""),
        ("\\,", ""),
        ("²", "^2"),
        ("³", "^3"),
        ("^\\circ", "°"),
        ("^{\\circ}", "°"),
        (" is equal to ", " = "),
        (" equals ", " = "),
    ];
    let line = line.trim_start();
    let item = ["- ", "* ", "• "].iter().find_map(|bullet| line.strip_prefix(bullet));
    let line = item.unwrap_or(line).to_owned();
    replaced.iter().fold(line, |line, (from, to)| line.replace(from, to))
}
