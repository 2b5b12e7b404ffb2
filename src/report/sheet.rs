//! A contact sheet of pairs: pictures, question, chosen and rejected answer, and why.

use super::pairs::{Shown, some, wrapped};
use super::scene::{Anchor, GRID_LINE, INK, SOFT, Scene, is_without_glyph, rgb, text_width};
use crate::Result;
use crate::data::image::decode;
use crate::data::record::Pair;
use crate::error::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::imageops::{FilterType, overlay, resize};
use image::{ImageEncoder, RgbImage};
use minijinja::{Value, context};
use std::path::Path;

/// Logical pixels: the whole width, a picture's side, a column of text, what lies between.
const WIDTH: f64 = 900.0;
const SIDE: f64 = 112.0;
const GAP: f64 = 16.0;
/// Between pictures of one pair.
const MARGIN: f64 = 3.0;
const COLUMN: f64 = (WIDTH - SIDE - 4.0 * GAP) / 2.0;
/// Size and height of a line of text.
const SIZE: f64 = 10.5;
const LINE: f64 = 14.0;
/// Lines of an answer that are shown.
const MOST_LINES: usize = 12;
/// Headings of the two columns.
const BETTER: super::scene::Color = rgb(0x009E73);
const WORSE: super::scene::Color = rgb(0xD55E00);
/// A PNG of a scene has two pixels a logical one.
const SCALE: f64 = 2.0;

/// One pair, laid out.
struct Block {
    shown: Shown,
    question: Vec<String>,
    chosen: Vec<String>,
    rejected: Vec<String>,
    why: Vec<String>,
}

impl Block {
    fn of(shown: Shown) -> Self {
        let lines = |text: &str, width: f64, most: usize| {
            let measure = |text: &str| text_width(text, SIZE, false);
            let mut lines = wrapped(text, width, &measure);
            if lines.len() > most {
                lines.truncate(most);
                lines[most - 1].push_str(" …");
            }
            lines
        };
        let wide = 2.0 * COLUMN + GAP;
        let question = shown.pair.question.replace("<image>", " ");
        Self {
            question: lines(question.trim(), wide, 4),
            chosen: lines(&shown.pair.chosen, COLUMN, MOST_LINES),
            rejected: lines(&shown.pair.rejected, COLUMN, MOST_LINES),
            why: lines(&format!("row {}. {}{}", shown.row, shown.why, note(&shown.pair)), wide, 4),
            shown,
        }
    }

    fn height(&self) -> f64 {
        let answers = 1 + self.chosen.len().max(self.rejected.len());
        let text = (self.question.len() + answers + self.why.len()) as f64 * LINE + 12.0;
        text.max(SIDE) + 2.0 * GAP
    }

    fn draw(&self, scene: &mut Scene, top: f64) {
        let left = SIDE + 2.0 * GAP;
        let mut y = top + GAP + SIZE;
        let write = |scene: &mut Scene, lines: &[String], x: f64, mut y: f64, color| {
            for line in lines {
                scene.text((x, y), line, SIZE, Anchor::Start, color);
                y += LINE;
            }
            y
        };
        y = write(scene, &self.question, left, y, INK) + 6.0;
        scene.bold((left, y), "chosen", SIZE, Anchor::Start, BETTER);
        scene.bold((left + COLUMN + GAP, y), "rejected", SIZE, Anchor::Start, WORSE);
        y += LINE;
        let chosen = write(scene, &self.chosen, left, y, INK);
        let rejected = write(scene, &self.rejected, left + COLUMN + GAP, y, INK);
        write(scene, &self.why, left, chosen.max(rejected) + 6.0, SOFT);
        let bottom = top + self.height();
        scene.line(&[(0.0, bottom), (WIDTH, bottom)], 1.0, GRID_LINE);
    }

    /// Puts the pictures into their place, several as a grid.
    fn paste(&self, sheet: &mut RgbImage, top: f64) {
        let columns = (1..).find(|side| side * side >= self.shown.pictures.len()).unwrap_or(1);
        let cell = SIDE / columns as f64;
        // Several keep apart.
        let side = if columns > 1 { cell - MARGIN } else { cell };
        for (index, path) in self.shown.pictures.iter().enumerate() {
            // A picture that is gone leaves its place empty: a sheet is to look at.
            let Ok(picture) = decode(path) else {
                tracing::warn!("the contact sheet lacks the picture {}", path.display());
                continue;
            };
            let longest = f64::from(picture.width().max(picture.height()));
            let scale = side * SCALE / longest;
            let [width, height] = [picture.width(), picture.height()]
                .map(|side| (f64::from(side) * scale).round().max(1.0) as u32);
            let filter = if scale > 1.0 { FilterType::Nearest } else { FilterType::Triangle };
            let picture = resize(&picture, width, height, filter);
            let [x, y] = [index % columns, index / columns].map(|place| place as f64 * cell);
            overlay(sheet, &picture, ((GAP + x) * SCALE) as i64, ((top + GAP + y) * SCALE) as i64);
        }
    }
}

/// Says that the sheet's font has no letters for a pair's script, where that is so.
fn note(pair: &Pair) -> &'static str {
    let texts = [&pair.question, &pair.chosen, &pair.rejected];
    match texts.iter().any(|text| text.contains(is_without_glyph)) {
        true => ". Boxes stand for letters that this sheet's font lacks; pairs.jsonl has them",
        false => "",
    }
}

/// The sheet of some pairs of an artifact's payload as a PNG file; none where it has no pairs.
///
/// # Errors
///
/// Pairs that cannot be read.
pub fn png(payload: &Path, count: usize) -> Result<Option<Vec<u8>>> {
    if !payload.join("pairs.jsonl").is_file() {
        return Ok(None);
    }
    let blocks: Vec<Block> = some(payload, count, 0)?.1.into_iter().map(Block::of).collect();
    if blocks.is_empty() {
        return Ok(None);
    }
    let tops: Vec<f64> = blocks
        .iter()
        .scan(0.0, |next, block| {
            let top = *next;
            *next += block.height();
            Some(top)
        })
        .collect();
    let height: f64 = blocks.iter().map(Block::height).sum();
    let mut scene = Scene::new(WIDTH, height.ceil());
    for (block, &top) in blocks.iter().zip(&tops) {
        block.draw(&mut scene, top);
    }
    let doing = "drawing a contact sheet";
    let mut sheet = image::load_from_memory(&scene.png()?).context(doing)?.into_rgb8();
    for (block, &top) in blocks.iter().zip(&tops) {
        block.paste(&mut sheet, top);
    }
    let mut file = Vec::new();
    let (width, height) = sheet.dimensions();
    image::codecs::png::PngEncoder::new(&mut file)
        .write_image(&sheet, width, height, image::ExtendedColorType::Rgb8)
        .context(doing)?;
    Ok(Some(file))
}

/// The contact sheet of the first set of pairs, as a data URL, with the file's name.
pub fn first(results_dir: &Path) -> Option<Value> {
    let sheets = std::fs::read_dir(results_dir.join("pairs")).ok()?.flatten();
    let first = sheets.map(|entry| entry.path()).filter(|path| path.extension().is_some()).min()?;
    let url = format!("data:image/png;base64,{}", STANDARD.encode(std::fs::read(&first).ok()?));
    let name = first.file_name()?.to_string_lossy().into_owned();
    // Pairs made before kinds were counted have no table.
    let table = results_dir.join("pairs.csv").exists();
    Some(context! { name, url => Value::from_safe_string(url), table })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::Images;
    use image::Rgb;

    #[test]
    fn all_pictures_of_a_pair_are_shown_and_missing_letters_said() {
        let folder = tempfile::tempdir().unwrap();
        let colors = [Rgb([255, 0, 0]), Rgb([0, 0, 255])];
        let paint = |(index, color): (usize, &Rgb<u8>)| {
            let path = folder.path().join(format!("{index}.png"));
            RgbImage::from_pixel(8, 8, *color).save(&path).unwrap();
            path.to_string_lossy().into_owned()
        };
        let pictures = colors.iter().enumerate().map(paint).collect();
        let [question, chosen, rejected] = ["Où? <image><image>", "Là.", "Ici."].map(str::to_owned);
        let pair = Pair { image: Images(pictures), question, chosen, rejected, ..Pair::default() };
        let row = serde_json::to_string(&pair).unwrap();
        std::fs::write(folder.path().join("pairs.jsonl"), row).unwrap();
        let sheet = png(folder.path(), 1).unwrap().unwrap();
        let sheet = image::load_from_memory(&sheet).unwrap().into_rgb8();
        for color in colors {
            assert!(sheet.pixels().any(|pixel| *pixel == color), "{color:?}");
        }
        assert_eq!(note(&pair), "");
        for text in ["왼쪽", "左边", "ひだり"] {
            assert!(!note(&Pair { chosen: text.into(), ..pair.clone() }).is_empty(), "{text}");
        }
    }
}
