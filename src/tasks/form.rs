//! Reading a filled-in form: boxes named by letters, a digit in each. Document.
//!
//! The sloppy teacher takes some printed digits for others.

use super::glyph::{DIGITS, LETTERS};
use super::item::{Cells, Item, reasoned};
use super::raster::{CELL, Colour, GRID, INK, Raster, corner};
use super::rng::Rng;
use super::slip::Teacher;

/// Names of the fields.
const NAMES: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
/// Ink of the letters.
const NAME: Colour = [60, 60, 190];
/// Frames of the boxes.
const FRAME: Colour = [150, 160, 185];
/// Paper of the boxes.
const PAPER: Colour = [255, 255, 255];

/// A field of the form: a box that shows its letter and, to the right of it, its digit.
#[derive(Clone, Copy, Debug)]
struct Field {
    cell: usize,
    letter: usize,
    digit: usize,
}

impl Field {
    fn name(self) -> &'static str {
        NAMES[self.letter]
    }
}

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let kind = rng.pick(&[0, 0, 0, 1, 2]);
    let count = rng.between(4, NAMES.len());
    let all: [usize; GRID * GRID] = std::array::from_fn(|cell| cell);
    let mut places = rng.pick_some(&all, count);
    places.sort_unstable();
    let letters = rng.pick_some(&[0, 1, 2, 3, 4, 5], count);
    // Each digit once, so that one field is the largest.
    let digits = rng.pick_some(&[1, 2, 3, 4, 5, 6, 7, 8, 9], count);
    let fields: Vec<Field> = (places.into_iter().zip(letters).zip(digits))
        .map(|((cell, letter), digit)| Field { cell, letter, digit })
        .collect();
    let (picture, cells) = paint(rng, &fields);
    let asked = rng.pick(&fields);
    let name = asked.name();
    let question = match (kind, rng.below(2)) {
        (0, 0) => format!("What number is in field {name}?"),
        (0, _) => format!("What does field {name} say?"),
        (1, 0) => "Which field has the largest number?".to_owned(),
        (1, _) => "In which field is the largest number?".to_owned(),
        (_, 0) => "Which field has the smallest number?".to_owned(),
        _ => "In which field is the smallest number?".to_owned(),
    };
    let answer = |teacher: Teacher| -> String {
        let number = |field: &&Field| teacher.read_digit(field.digit);
        match kind {
            0 => number(&&asked).to_string(),
            // A misread digit may come twice: the first in reading order is taken.
            1 => fields.iter().rev().max_by_key(number).expect("a form has fields").name().into(),
            _ => fields.iter().min_by_key(number).expect("a form has fields").name().into(),
        }
    };
    let tell = |teacher: Teacher| {
        let list = |fields: &[Field]| {
            let read =
                |field: &Field| format!("{} {}", field.name(), teacher.read_digit(field.digit));
            fields.iter().map(read).collect::<Vec<_>>().join(", ") + "."
        };
        // Read off, then put in order: by name, or by number where one is asked for by it.
        let mut order = fields.clone();
        match kind {
            0 => order.sort_by_key(|field| field.letter),
            1 => order.sort_by_key(|field| std::cmp::Reverse(teacher.read_digit(field.digit))),
            _ => order.sort_by_key(|field| teacher.read_digit(field.digit)),
        }
        reasoned(&list(&fields), &list(&order), &answer(teacher))
    };
    Item::new(picture, cells, question, answer(Teacher::Careful), tell)
}

/// The picture and its labels: letter and digit share a cell, as name and height of a bar do,
/// so that whoever finds the field has its number.
fn paint(rng: &mut Rng, fields: &[Field]) -> (Raster, Cells) {
    let mut raster = Raster::new(rng);
    let mut cells = Cells::default();
    for field in fields {
        let (x, y) = corner(field.cell);
        raster.fill(x, y, CELL as i32, CELL as i32, FRAME);
        raster.fill(x + 1, y + 1, CELL as i32 - 2, CELL as i32 - 2, PAPER);
        let (letter, digit) = (y + rng.between(2, 4) as i32, y + rng.between(2, 4) as i32);
        raster.bitmap(x + 1, letter, 2, &LETTERS[field.letter], NAME);
        raster.bitmap(x + 9, digit, 2, &DIGITS[field.digit], INK);
        cells.letter(field.cell, field.letter);
        cells.digit(field.cell, field.digit);
    }
    (raster, cells)
}
