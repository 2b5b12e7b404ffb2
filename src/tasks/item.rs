//! One generated question before it is written to disk, and the dense labels of its picture.

use super::raster::{GRID, Raster};
use super::scene::{COLOURS, SHAPES};
use crate::data::record;

/// A question with everything that is known about it.
#[derive(Clone, Debug)]
pub struct Item {
    /// The picture.
    pub picture: Raster,
    /// The question.
    pub question: String,
    /// The known answer: the whole direct form.
    pub answer: String,
    /// The careful rationale.
    pub rationale: String,
    /// The rationale of the teacher with the family's slip; its answer may be right all the same.
    pub sloppy: String,
    /// Dense labels.
    pub cells: Cells,
    /// Objects in the picture, each name once; scenes only.
    pub objects: Vec<String>,
    /// How a negative existence question was drawn.
    pub negative: Option<&'static str>,
    /// Options that the question names.
    pub choices: &'static [&'static str],
}

impl Item {
    /// An item with the parts that every family has.
    pub fn new(
        picture: Raster,
        cells: Cells,
        question: String,
        answer: String,
        tell: impl Fn(super::slip::Teacher) -> String,
    ) -> Self {
        Self {
            picture,
            question,
            answer,
            rationale: tell(super::slip::Teacher::Careful),
            sloppy: tell(super::slip::Teacher::Sloppy),
            cells,
            objects: Vec::new(),
            negative: None,
            choices: &[],
        }
    }

    /// The record that goes to disk.
    pub fn record(&self, id: String, image: String, task: &str) -> record::Question {
        record::Question {
            id,
            images: vec![image],
            question: self.question.clone(),
            answer: Some(self.answer.clone()),
            choices: self.choices.iter().map(ToString::to_string).collect(),
            task: task.to_owned(),
            source: "generated".to_owned(),
            generated: Some(record::Generated {
                rationale: self.rationale.clone(),
                sloppy: Some(self.sloppy.clone()),
                cells: self.cells.0.iter().map(|layer| layer.to_vec()).collect(),
                objects: self.objects.clone(),
                negative: self.negative.map(str::to_owned),
            }),
            ..record::Question::default()
        }
    }
}

/// Lines of a rationale and the literal marker that every extractor knows.
pub fn reasoned(seen: &str, worked: &str, answer: &str) -> String {
    format!("{seen}\n{worked}\nFinal answer: {answer}")
}

/// One layer of dense labels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layer {
    /// What it labels.
    pub name: &'static str,
    /// Number of classes; 0 means nothing there.
    pub classes: usize,
}

const OBJECTS: usize = COLOURS.len() * SHAPES.len();
const BARS: usize = 1 + OBJECTS;
const CREATURES: usize = BARS + COLOURS.len();
const GOODS: usize = CREATURES + super::glyph::CREATURES.len();
const LETTERS: usize = GOODS + super::glyph::GOODS.len();
/// What eats the last creature of a chain, and what the first one eats.
const NOBODY: usize = 1 + super::glyph::CREATURES.len();

/// The layers of every generated picture, in the order of `Generated::cells`.
pub const LAYERS: [Layer; 5] = [
    Layer { name: "object", classes: LETTERS + super::glyph::LETTERS.len() },
    Layer { name: "bar", classes: 9 },
    Layer { name: "digit", classes: 11 },
    Layer { name: "eater", classes: NOBODY + 1 },
    Layer { name: "food", classes: NOBODY + 1 },
];

/// Dense labels of a picture: `[layer][cell]`, cells row-major.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cells([[u16; GRID * GRID]; LAYERS.len()]);

impl Cells {
    /// A coloured shape, by its number in [`super::scene::Kind`].
    pub fn object(&mut self, cell: usize, kind: usize) {
        self.0[0][cell] = (1 + kind) as u16;
    }

    /// A piece of a bar: its colour, and the height of the whole bar.
    pub fn bar(&mut self, cell: usize, colour: usize, height: usize) {
        self.0[0][cell] = (BARS + colour) as u16;
        self.0[1][cell] = height as u16;
    }

    /// A creature, what eats it and what it eats, if anything does: the tower follows the arrows.
    pub fn creature(
        &mut self,
        cell: usize,
        creature: usize,
        eater: Option<usize>,
        food: Option<usize>,
    ) {
        let class = |other: Option<usize>| other.map_or(NOBODY, |other| 1 + other) as u16;
        self.0[0][cell] = (CREATURES + creature) as u16;
        self.0[3][cell] = class(eater);
        self.0[4][cell] = class(food);
    }

    /// A thing on a receipt.
    pub fn good(&mut self, cell: usize, good: usize) {
        self.0[0][cell] = (GOODS + good) as u16;
    }

    /// A letter, A first.
    pub fn letter(&mut self, cell: usize, letter: usize) {
        self.0[0][cell] = (LETTERS + letter) as u16;
    }

    /// A digit.
    pub fn digit(&mut self, cell: usize, digit: usize) {
        self.0[2][cell] = (1 + digit) as u16;
    }

    /// Class of a cell in a layer.
    pub fn class(&self, layer: usize, cell: usize) -> u16 {
        self.0[layer][cell]
    }
}
