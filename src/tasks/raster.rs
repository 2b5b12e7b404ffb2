//! Drawing on a 64×64 picture: flat colours, hard edges, no fonts from outside.

use super::glyph::Bitmap;
use super::rng::Rng;
use crate::error::{Context, Result};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};

/// Side of a picture, in pixels.
pub const SIDE: usize = 64;
/// Cells along a side.
pub const GRID: usize = 4;
/// Side of a cell, in pixels: one image token of the embedded sizes.
pub const CELL: usize = SIDE / GRID;

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Almost black: digits, letters, outlines.
pub const INK: Colour = [30, 30, 36];

/// A picture being drawn.
#[derive(Clone, Debug)]
pub struct Raster(RgbImage);

impl Raster {
    /// A picture of one light tint, drawn at random.
    pub fn new(rng: &mut Rng) -> Self {
        let paper = [0; 3].map(|_: u8| rng.between(225, 250) as u8);
        Self(RgbImage::from_pixel(SIDE as u32, SIDE as u32, Rgb(paper)))
    }

    /// The picture itself.
    pub fn image(&self) -> &RgbImage {
        &self.0
    }

    /// One pixel; what falls outside is left out.
    pub fn dot(&mut self, x: i32, y: i32, colour: Colour) {
        if (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y) {
            self.0.put_pixel(x as u32, y as u32, Rgb(colour));
        }
    }

    /// A filled rectangle from its top left corner.
    pub fn fill(&mut self, x: i32, y: i32, width: i32, height: i32, colour: Colour) {
        for dy in 0..height {
            for dx in 0..width {
                self.dot(x + dx, y + dy, colour);
            }
        }
    }

    /// Every pixel of a square of odd or even `side` at which `inside(u, v)` holds; `u` and `v`
    /// run from −1 to 1 between the square's edges.
    pub fn shape(
        &mut self,
        x: i32,
        y: i32,
        side: i32,
        colour: Colour,
        inside: impl Fn(f32, f32) -> bool,
    ) {
        let at = |pixel: i32| (2 * pixel + 1 - side) as f32 / side as f32;
        for dy in 0..side {
            for dx in 0..side {
                if inside(at(dx), at(dy)) {
                    self.dot(x + dx, y + dy, colour);
                }
            }
        }
    }

    /// A straight line, two pixels thick.
    pub fn line(&mut self, from: (i32, i32), to: (i32, i32), colour: Colour) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).max(1);
        for step in 0..=steps {
            // Rounding to the nearest pixel in whole numbers.
            let along = |a: i32, b: i32| a + (2 * (b - a) * step + steps).div_euclid(2 * steps);
            self.fill(along(from.0, to.0), along(from.1, to.1), 2, 2, colour);
        }
    }

    /// A bitmap with its top left corner at (x, y), each of its pixels `scale` wide.
    pub fn bitmap(&mut self, x: i32, y: i32, scale: i32, bitmap: &Bitmap, colour: Colour) {
        for (row, line) in bitmap.iter().enumerate() {
            for (column, mark) in line.bytes().enumerate() {
                if mark == b'#' {
                    let (dx, dy) = (column as i32 * scale, row as i32 * scale);
                    self.fill(x + dx, y + dy, scale, scale, colour);
                }
            }
        }
    }

    /// A bitmap in the middle of a cell, moved by at most one pixel.
    pub fn stamp(&mut self, rng: &mut Rng, cell: usize, scale: i32, bitmap: &Bitmap, ink: Colour) {
        let (x, y) = corner(cell);
        let centred = |pixels: usize| (CELL as i32 - pixels as i32 * scale) / 2;
        let mut jitter = || rng.between(0, 2) as i32 - 1;
        let (dx, dy) = (jitter(), jitter());
        self.bitmap(
            x + centred(bitmap[0].len()) + dx,
            y + centred(bitmap.len()) + dy,
            scale,
            bitmap,
            ink,
        );
    }

    /// The PNG file; equal pictures give equal bytes.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(2048);
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::NoFilter)
            .write_image(self.0.as_raw(), SIDE as u32, SIDE as u32, ExtendedColorType::Rgb8)
            .context("encoding a generated picture")?;
        Ok(bytes)
    }
}

/// Top left corner of a cell, row-major from 0.
pub fn corner(cell: usize) -> (i32, i32) {
    ((cell % GRID * CELL) as i32, (cell / GRID * CELL) as i32)
}

/// The name of a cell in rationales: column letter, then row number from the top, `c2`.
pub fn cell_name(cell: usize) -> String {
    format!("{}{}", ["a", "b", "c", "d"][cell % GRID], cell / GRID + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_named_like_a_chess_board_from_the_top() {
        assert_eq!([0, 3, 6, 12].map(cell_name), ["a1", "d1", "c2", "a4"]);
        assert_eq!(corner(6), (32, 16));
    }

    #[test]
    fn drawing_outside_is_left_out() {
        let mut raster = Raster::new(&mut Rng::new("t", 0, 0));
        raster.fill(-5, 60, 100, 100, INK);
        assert_eq!(raster.image().get_pixel(63, 63).0, INK);
        assert_ne!(raster.image().get_pixel(0, 59).0, INK);
    }
}
