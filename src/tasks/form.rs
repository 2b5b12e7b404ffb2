//! Reading a filled-in form: fields named by letters, two-digit numbers. Document.
//!
//! The sloppy teacher takes some printed digits for others.

use super::glyph::{DIGITS, LETTERS};
use super::item::{Cells, Item, reasoned};
use super::raster::{CELL, Colour, GRID, INK, Raster};
use super::rng::Rng;
use super::slip::Teacher;

/// Names of the fields.
const NAMES: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
/// Frames of the fields.
const FRAME: Colour = [150, 160, 185];
/// Paper of the fields.
const PAPER: Colour = [255, 255, 255];

/// A field of the form.
#[derive(Clone, Copy, Debug)]
struct Field {
    row: usize,
    letter: usize,
    digits: [usize; 2],
}

impl Field {
    fn name(self) -> &'static str {
        NAMES[self.letter]
    }

    fn read(self, teacher: Teacher) -> usize {
        10 * teacher.read_digit(self.digits[0]) + teacher.read_digit(self.digits[1])
    }
}

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let kind = rng.pick(&[0, 0, 0, 1, 2]);
    let fields = rng.until(|rng| {
        let mut rows = rng.pick_some(&[0, 1, 2, 3], 3);
        rows.sort_unstable();
        let letters = rng.pick_some(&[0, 1, 2, 3, 4, 5], 3);
        let fields: Vec<Field> = (rows.into_iter().zip(letters))
            .map(|(row, letter)| Field {
                row,
                letter,
                digits: [rng.between(1, 9), rng.between(0, 9)],
            })
            .collect();
        // Largest and smallest are asked by the first digit, so that one look decides.
        let distinct = |a: usize, b: usize| fields[a].digits[0] != fields[b].digits[0];
        (distinct(0, 1) && distinct(1, 2) && distinct(0, 2)).then_some(fields)
    });
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
    let work = |teacher: Teacher| -> (String, String) {
        let number = |field: &&Field| field.read(teacher);
        let field = match kind {
            0 => asked,
            1 => *fields.iter().rev().max_by_key(number).expect("a form has fields"),
            _ => *fields.iter().min_by_key(number).expect("a form has fields"),
        };
        let worked = format!("{}: {}.", field.name(), field.read(teacher));
        let answer = match kind {
            0 => field.read(teacher).to_string(),
            _ => field.name().to_owned(),
        };
        (worked, answer)
    };
    let tell = |teacher: Teacher| {
        let seen: Vec<String> = fields
            .iter()
            .map(|field| format!("{} {}", field.name(), field.read(teacher)))
            .collect();
        let (worked, answer) = work(teacher);
        reasoned(&(seen.join(", ") + "."), &worked, &answer)
    };
    let answer = work(Teacher::Careful).1;
    Item::new(picture, cells, question, answer, tell)
}

/// The picture and its labels: the field's letter, then a frame with its two digits.
fn paint(rng: &mut Rng, fields: &[Field]) -> (Raster, Cells) {
    let mut raster = Raster::new(rng);
    let mut cells = Cells::default();
    for field in fields {
        let cell = field.row * GRID;
        let y = (field.row * CELL) as i32;
        raster.fill(26, y + 1, 36, 14, FRAME);
        raster.fill(27, y + 2, 34, 12, PAPER);
        raster.stamp(rng, cell, 2, &LETTERS[field.letter], INK);
        cells.letter(cell, field.letter);
        for (column, digit) in (2..).zip(field.digits) {
            raster.stamp(rng, cell + column, 2, &DIGITS[digit], INK);
            cells.digit(cell + column, digit);
        }
    }
    (raster, cells)
}
