//! What is wrong with a spec: where, what, and the way out. All of a file's
//! mistakes are gathered before any is reported.

use super::source::Source;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource};
use std::ops::Range;

/// One thing wrong, and the way out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    /// What is wrong, literal values in backticks.
    pub message: String,
    /// The way out: something the user can type.
    pub hint: String,
    /// Index of the text in which it stands.
    pub source: usize,
    /// Bytes of that text.
    pub span: Range<usize>,
}

/// Everything found so far, each thing once.
#[derive(Clone, Debug, Default)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Adds one, unless it is known.
    pub fn push(&mut self, mistake: Mistake) {
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those found, in the order in which they stand in their texts.
    pub fn sorted(&self) -> Vec<&Mistake> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|mistake| (mistake.source, mistake.span.start));
        all
    }

    /// Nothing wrong, or everything wrong in one error.
    ///
    /// # Errors
    ///
    /// If anything was found.
    pub fn into_result(self, sources: &[Source]) -> crate::Result<()> {
        if self.is_empty() { Ok(()) } else { Err(self.into_error(sources)) }
    }

    /// All of them as one error: exit code 2.
    pub fn into_error(self, sources: &[Source]) -> crate::Error {
        let all = self.sorted();
        let name = sources.iter().find(|s| s.name != "defaults.toml").map_or("spec", |s| &s.name);
        let count = match all.len() {
            1 => "a mistake".to_owned(),
            n => format!("{n} mistakes"),
        };
        let mut text = format!("{name}: {count}\n");
        for mistake in all {
            text.push('\n');
            text.push_str(&mistake.render(sources));
        }
        crate::Error::spec(text.trim_end())
    }
}

impl Mistake {
    /// The mistake with the lines of the text around it.
    pub fn render(&self, sources: &[Source]) -> String {
        let diagnostic = MietteDiagnostic::new(&self.message).with_help(&self.hint);
        let report = match sources.get(self.source) {
            Some(source) => {
                let label = LabeledSpan::new(None, self.span.start, self.span.len());
                let text = NamedSource::new(&source.name, source.text.clone());
                miette::Report::new(diagnostic.with_label(label)).with_source_code(text)
            }
            None => miette::Report::new(diagnostic),
        };
        let mut text = String::new();
        let handler =
            GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
        handler
            .render_report(&mut text, report.as_ref())
            .expect("a string takes whatever is written to it");
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
    }
}
