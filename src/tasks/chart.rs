//! Reading a bar chart: one value, a sum, a difference, the total, the extremes.
//!
//! The sloppy teacher reads tall bars one too low, and adds with a careless carry.

use super::item::{Cells, Item, reasoned};
use super::raster::{CELL, Colour, GRID, INK, Raster};
use super::rng::Rng;
use super::scene::COLOURS;
use super::slip::Teacher;

/// Pixels a unit of height.
const UNIT: usize = 7;
/// Where bars stand, in pixels from the top.
const FLOOR: usize = 61;
/// Highest bar.
const HIGHEST: usize = 8;
/// Lines at whole heights.
const LINE: Colour = [205, 205, 210];

/// A bar.
#[derive(Clone, Copy, Debug)]
struct Bar {
    column: usize,
    colour: usize,
    height: usize,
}

impl Bar {
    fn name(self) -> &'static str {
        COLOURS[self.colour].0
    }
}

/// Draws one question.
pub fn make(rng: &mut Rng) -> Item {
    let kind = rng.below(6);
    // A total has three bars, so that its two additions stay short.
    let count = if kind == 3 { 3 } else { rng.between(3, 4) };
    let bars = rng.until(|rng| {
        let mut columns = rng.pick_some(&[0, 1, 2, 3], count);
        columns.sort_unstable();
        let colours = rng.pick_some(&[0, 1, 2, 3, 4], count);
        let bars: Vec<Bar> = (columns.into_iter().zip(colours))
            .map(|(column, colour)| Bar { column, colour, height: rng.between(1, HIGHEST) })
            .collect();
        // An extreme, or the taller of two, must be one bar.
        let mut heights: Vec<usize> = bars.iter().map(|bar| bar.height).collect();
        heights.sort_unstable();
        heights.dedup();
        (kind == 1 || kind == 3 || heights.len() == count).then_some(bars)
    });
    let (picture, cells) = paint(rng, &bars);
    let two = rng.pick_some(&bars, 2);
    // A difference is asked for with the taller bar first.
    let (a, b) = if two[0].height < two[1].height { (two[1], two[0]) } else { (two[0], two[1]) };
    let (one, other) = (a.name(), b.name());
    let first = rng.chance(1, 2);
    let question = match (kind, first) {
        (0, true) => format!("What is the value of the {one} bar?"),
        (0, false) => format!("How tall is the {one} bar?"),
        (1, true) => format!("What is the sum of the {one} and {other} bars?"),
        (1, false) => format!("What do the {one} and {other} bars add up to?"),
        (2, true) => format!("How much taller is the {one} bar than the {other} bar?"),
        (2, false) => format!("What is the difference of the {one} and {other} bars?"),
        (3, true) => "What is the total of all bars?".to_owned(),
        (3, false) => "What do all bars add up to?".to_owned(),
        (4, true) => "Which bar is the tallest?".to_owned(),
        (4, false) => "Which colour is the tallest bar?".to_owned(),
        (_, true) => "Which bar is the shortest?".to_owned(),
        (_, false) => "Which colour is the shortest bar?".to_owned(),
    };
    let work = |teacher: Teacher| -> (String, String) {
        let value = |bar: Bar| teacher.read_bar(bar.height);
        let (x, y) = (value(a), value(b));
        match kind {
            0 => (format!("{one}: {x}."), x.to_string()),
            1 => {
                let (steps, sum) = teacher.add_up(&[a.height, b.height]);
                (steps, sum.to_string())
            }
            2 => (format!("{x} - {y} = {}.", x - y), (x - y).to_string()),
            3 => {
                let heights: Vec<usize> = bars.iter().map(|bar| bar.height).collect();
                let (steps, sum) = teacher.add_up(&heights);
                (steps, sum.to_string())
            }
            _ => {
                // The first of equals, which only the sloppy teacher can meet.
                let best = if kind == 4 {
                    bars.iter().rev().max_by_key(|bar| value(**bar))
                } else {
                    bars.iter().min_by_key(|bar| value(**bar))
                };
                let best = *best.expect("a chart has bars");
                (format!("{}: {}.", best.name(), value(best)), best.name().to_owned())
            }
        }
    };
    let tell = |teacher: Teacher| {
        // Sums slip in the carry alone, or the slip would change nearly every one of them.
        let sums = kind == 1 || kind == 3;
        let eye = if sums { Teacher::Careful } else { teacher };
        let seen: Vec<String> =
            bars.iter().map(|bar| format!("{} {}", bar.name(), eye.read_bar(bar.height))).collect();
        let (worked, answer) = work(teacher);
        reasoned(&(seen.join(", ") + "."), &worked, &answer)
    };
    let answer = work(Teacher::Careful).1;
    Item::new(picture, cells, question, answer, tell)
}

/// The picture and its labels: every cell that shows a piece of a bar says which and how high.
fn paint(rng: &mut Rng, bars: &[Bar]) -> (Raster, Cells) {
    let mut raster = Raster::new(rng);
    let mut cells = Cells::default();
    for height in 1..=HIGHEST {
        raster.fill(0, (FLOOR - UNIT * height) as i32, 64, 1, LINE);
    }
    for bar in bars {
        let tall = UNIT * bar.height;
        let paint = COLOURS[bar.colour].1;
        let x = (bar.column * CELL + 3) as i32;
        raster.fill(x, (FLOOR - tall) as i32, 10, tall as i32, paint);
        for row in (FLOOR - tall) / CELL..GRID {
            cells.bar(row * GRID + bar.column, bar.colour, bar.height);
        }
    }
    raster.fill(0, FLOOR as i32, 64, 1, INK);
    (raster, cells)
}
