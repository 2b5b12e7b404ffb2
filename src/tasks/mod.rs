//! Generated question families: each draws a picture, asks, knows the answer,
//! and writes how one gets there.
//!
//! A question's picture, text and answer depend on (seed, family, index) alone;
//! splits use index ranges that cannot meet ([`index`]).
//!
//! To add a family: one file with `pub fn make(&mut Rng) -> Item`, and one line
//! in the list below. `prefab show tasks` and the laws in `tests/suite/tasks.rs` read
//! the list.
//!
//! Pictures are 64×64 on a 4×4 grid, one cell an image token. What every cell
//! holds is labelled in [`LAYERS`]. Two teachers write rationales ([`slip`]).

pub mod corpus;
mod glyph;
mod item;
pub mod multimodal;
pub mod raster;
mod rng;
mod scene;
pub mod slip;
pub mod sources;

pub use item::{Item, LAYERS, Layer};
pub use relation::rotated;
pub use rng::Rng;

use crate::data::record::Question;
use crate::spec::eval::Split;
use crate::spec::lists::{self, suggest};
use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A family of generated questions.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name in specs and records.
    pub name: &'static str,
    /// Which of the six domains of the paper's Table 1 it stands for.
    pub domain: Domain,
    /// One sentence for `prefab show tasks`.
    pub about: &'static str,
    /// Whether the answer is open-ended, so that it is not compared as a whole.
    pub open: bool,
    make: fn(&mut Rng) -> Item,
}

/// The domains of Wang et al. 2024, arXiv:2411.10442, Table 1.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// General visual question answering.
    General,
    /// Science.
    Science,
    /// Charts.
    Chart,
    /// Mathematics.
    Mathematics,
    /// Printed characters.
    Ocr,
    /// Documents.
    Document,
}

impl Domain {
    /// The word used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::General => "general VQA",
            Self::Science => "science",
            Self::Chart => "chart",
            Self::Mathematics => "mathematics",
            Self::Ocr => "OCR",
            Self::Document => "document",
        }
    }
}

/// Declares the families: module, domain, sentence; `open` where answers are open-ended.
macro_rules! families {
    (@) => { false };
    (@ open) => { true };
    ($($name:ident: $domain:ident, $about:literal $(, $open:ident)?;)*) => {
        $(mod $name;)*

        /// Every family, in the order of tables.
        pub const FAMILIES: &[Family] = &[$(Family {
            name: stringify!($name),
            domain: Domain::$domain,
            about: $about,
            open: families!(@ $($open)?),
            make: $name::make,
        }),*];
    };
}

families! {
    count: General, "how many shapes of a kind there are";
    subtract: Mathematics, "how many shapes are left when some are removed";
    compare: General, "which of two kinds of shapes is more frequent, or neither";
    exists: General, "whether a kind of shape is there: random, popular and adversarial negatives";
    relation: General, "on which side of one shape another one is";
    chart: Chart, "values, sums, differences and extremes of a bar chart";
    receipt: Ocr, "prices, quantities and totals of a receipt";
    form: Document, "fields of a form and the numbers in them";
    geometry: Mathematics, "perimeter, area and sides of a labelled rectangle or triangle";
    diagram: Science, "who eats whom in a food chain of icons and arrows";
    describe: General, "every shape in the picture, in words", open;
}

impl Family {
    /// The family of that name.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn named(name: &str) -> Result<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name).ok_or_else(|| {
            let hint = suggest(name, "`prefab show tasks` lists them", lists::TASKS);
            Error::spec(format!("`{name}` is not a task family")).hint(hint)
        })
    }

    /// One question, a function of its arguments alone.
    pub fn item(&self, seed: u64, index: u64) -> Item {
        (self.make)(&mut Rng::new(self.name, seed, index))
    }
}

/// The options that a question of a family offers without listing them all; none of a family whose
/// answers are free.
pub fn options(question: &Question) -> Vec<String> {
    match question.task.as_str() {
        "compare" => compare::options(&question.question),
        "diagram" => glyph::CREATURES.iter().map(|creature| creature.name.to_owned()).collect(),
        _ => question.choices.clone(),
    }
}

/// The index of a split's question in its family: splits take ranges of 2^40
/// indices each, so that no split's size moves or meets another split's questions.
pub fn index(split: Split, position: u64) -> u64 {
    const RANGE_BITS: u32 = 40;
    assert!(position < 1 << RANGE_BITS, "a split has fewer than 2^40 questions");
    let range = Split::ALL.iter().position(|other| *other == split).expect("all splits are listed");
    ((range as u64) << RANGE_BITS) | position
}
