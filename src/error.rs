//! What went wrong and the way out: one error type for the whole crate.

use std::any::Any;
use std::fmt::Display;

/// The user's or the world's fault, in a sentence fragment that completes
/// "could not …", with a hint that says what to type. A bug is a panic.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
pub struct Error {
    message: String,
    #[help]
    hint: Option<String>,
    setting: Option<&'static str>,
    kind: Kind,
}

/// Which exit code an error ends in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The command line or a spec is wrong; nothing was run. Exit code 2.
    Spec,
    /// A job failed. Exit code 3.
    Job,
    /// Interrupted; run again to go on. Exit code 130.
    Interrupted,
    /// A verification failed. Exit code 1.
    Verification,
}

/// A result whose error is Prefab's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of the work itself: a bad file, a full disk, a `NaN`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, setting: None, kind: Kind::Job }
    }

    /// The command line or a spec is wrong.
    pub fn spec(message: impl Into<String>) -> Self {
        Self::new(message).kind(Kind::Spec)
    }

    /// Sets what the process will exit with.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds the way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the setting that is wrong, so that a spec's error can point at it.
    pub fn at(mut self, setting: &'static str) -> Self {
        self.setting = Some(setting);
        self
    }

    /// Puts what was being done before the message.
    pub fn context(mut self, doing: impl Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// The way out, where there is one.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The setting that is wrong, such as `loss.w_p`, where it is one.
    pub fn setting(&self) -> Option<&'static str> {
        self.setting
    }

    /// The process exit code. A bug, which is a panic, ends in 1 too (`main.rs`).
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Verification => 1,
            Kind::Spec => 2,
            Kind::Job => 3,
            Kind::Interrupted => 130,
        }
    }
}

/// Adds context to any error and makes it Prefab's; one that is already keeps its hint and kind.
pub trait Context<T> {
    /// Says what was being done, once, by the caller: `.context("reading a.jsonl")`.
    fn context(self, doing: impl Display) -> Result<T>;
    /// The same, built only on failure.
    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Display + 'static> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.with_context(|| doing)
    }

    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| {
            let mut error = Some(error);
            let own = (&mut error as &mut dyn Any).downcast_mut::<Option<Error>>();
            if let Some(own) = own.and_then(Option::take) {
                return own.context(doing());
            }
            // A libtorch error carries some 24 lines of C++ frames; the first line is for people.
            let text = error.expect("it is another's").to_string();
            let first = text.lines().next().unwrap_or_default();
            Error::new(format!("{}: {first}", doing()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_the_hint_and_kind_of_an_own_error_and_one_line_of_anothers() {
        let own: Result<()> = Err(Error::spec("it is odd").hint("make it even").at("loss.w_p"));
        let told = own.context("reading a.toml").unwrap_err();
        assert_eq!(told.to_string(), "reading a.toml: it is odd");
        assert_eq!(told.hint_text(), Some("make it even"));
        assert_eq!((told.exit_code(), told.setting()), (2, Some("loss.w_p")));
        let other: Result<(), String> = Err("no room\nframe 1\nframe 2".to_owned());
        let told = other.with_context(|| "writing b").unwrap_err();
        assert_eq!((told.to_string().as_str(), told.exit_code()), ("writing b: no room", 3));
    }
}
