//! Dynamic resolution: how many tiles a picture has, and which pixels they hold.
//!
//! A picture is stretched to the grid of square tiles whose shape is nearest its own,
//! cut row by row, and, where that gives more than one tile, followed by a thumbnail
//! of the whole.
//!
//! # Source
//!
//! Chen et al. 2024, "How far are we to GPT-4V?", arXiv:2404.16821, section 3.3, and
//! InternVL's `dynamic_preprocess`.

use super::bicubic::resize;
use super::decode;
use super::pixels::Normalization;
use crate::error::Result;
use image::{GenericImage, Rgb, RgbImage};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Tiles of a grid above which a limit is a slip: every grid below it is tried for every picture.
pub const MOST_TILES: usize = 1024;

/// How pictures become tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiling {
    /// A tile's width and height in pixels: the model's side.
    pub side: usize,
    /// Fewest tiles of a grid.
    pub min_tiles: usize,
    /// Most tiles of a grid; the thumbnail comes on top.
    pub max_tiles: usize,
    /// Whether a grid of several tiles is followed by the whole picture.
    pub has_thumbnail: bool,
    /// How values are scaled.
    pub normalization: Normalization,
}

/// A picture as a question shows it: the same file may be cut finely for one question and
/// coarsely for another.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct View {
    /// Where it lies below its root.
    pub path: String,
    /// Most tiles of its grid.
    pub max_tiles: usize,
}

impl View {
    /// The whole picture as one tile.
    pub fn one(path: &str) -> Self {
        Self { path: path.to_owned(), max_tiles: 1 }
    }
}

/// How many tiles lie side by side and above each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grid {
    /// Tiles in a row.
    pub columns: usize,
    /// Rows of tiles.
    pub rows: usize,
}

impl Tiling {
    /// At most `max_tiles` tiles with a thumbnail, normalised by ImageNet's statistics:
    /// what every released InternVL does. One tile is the whole picture at the model's side.
    pub fn new(side: usize, max_tiles: usize) -> Self {
        Self {
            side,
            min_tiles: 1,
            max_tiles,
            has_thumbnail: true,
            normalization: Normalization::Imagenet,
        }
    }

    /// The rule for each of several pictures that share a question: `max(1, max_tiles / pictures)`.
    pub fn among(self, pictures: usize) -> Self {
        Self { max_tiles: (self.max_tiles / pictures.max(1)).max(1), ..self }
    }

    /// The pictures of a question, each with its share of the tiles.
    pub fn views(&self, images: &[String]) -> Vec<View> {
        let max_tiles = self.among(images.len()).max_tiles;
        images.iter().map(|path| View { path: path.clone(), max_tiles }).collect()
    }

    /// The rule with at most so many tiles a picture.
    pub fn up_to(self, max_tiles: usize) -> Self {
        Self { max_tiles, ..self }
    }

    /// The grid for a picture of this size: the nearest shape.
    ///
    /// Of grids equally near the one with most tiles, among those that the picture fills by
    /// more than half; where it fills none, the smallest.
    ///
    /// # Formula
    ///
    /// `argmin |width/height − columns/rows|` over `min_tiles ≤ columns · rows ≤ max_tiles`, in
    /// order of `columns · rows`; on an exact tie in f64 a later grid wins if
    /// `width · height > ½ · side² · columns · rows`.
    ///
    /// Where there is none, as `min_tiles` is above a picture's share, it is one tile, as in
    /// InternVL's `find_closest_aspect_ratio`.
    pub fn grid(&self, width: u32, height: u32) -> Grid {
        let shape = f64::from(width) / f64::from(height);
        let area = f64::from(width) * f64::from(height);
        let mut best: Option<(f64, Grid)> = None;
        for grid in self.grids() {
            let distance = (shape - grid.columns as f64 / grid.rows as f64).abs();
            let tiles = (grid.columns * grid.rows) as f64;
            let is_better = match best {
                None => true,
                Some((least, _)) if distance == least => {
                    area > 0.5 * (self.side * self.side) as f64 * tiles
                }
                Some((least, _)) => distance < least,
            };
            if is_better {
                best = Some((distance, grid));
            }
        }
        best.map_or(Grid { columns: 1, rows: 1 }, |(_, grid)| grid)
    }

    /// Every grid that may be chosen, by number of tiles.
    pub fn grids(&self) -> Vec<Grid> {
        let most = self.max_tiles;
        let mut grids: Vec<Grid> = (1..=most)
            .flat_map(|columns| (1..=most / columns).map(move |rows| Grid { columns, rows }))
            .filter(|grid| grid.columns * grid.rows >= self.min_tiles)
            .collect();
        grids.sort_by_key(|grid| grid.columns * grid.rows);
        grids
    }

    /// How many tiles a picture of this size has, its thumbnail included.
    pub fn count(&self, width: u32, height: u32) -> usize {
        let grid = self.grid(width, height);
        let tiles = grid.columns * grid.rows;
        tiles + usize::from(self.has_thumbnail && tiles > 1)
    }

    /// A picture as tiles.
    pub fn cut(&self, picture: &RgbImage) -> Tiles {
        let grid = self.grid(picture.width(), picture.height());
        let pixels = |tiles: usize| (tiles * self.side) as u32;
        let thumbnail = self.has_thumbnail && grid.columns * grid.rows > 1;
        Tiles {
            side: self.side,
            grid,
            whole: resize(picture, pixels(grid.columns), pixels(grid.rows)),
            thumbnail: thumbnail.then(|| resize(picture, pixels(1), pixels(1))),
        }
    }
}

/// How many tiles a picture file has, from its header alone: what its prompt needs to know.
///
/// # Errors
///
/// A file without a readable header.
pub fn count_of(path: &Path, tiling: &Tiling) -> Result<usize> {
    let (width, height) = decode::size(path)?;
    Ok(tiling.count(width, height))
}

/// The tiles of a picture: row by row, the thumbnail last.
#[derive(Debug)]
pub struct Tiles {
    side: usize,
    grid: Grid,
    whole: RgbImage,
    thumbnail: Option<RgbImage>,
}

impl Tiles {
    /// Their number, the thumbnail included; never zero.
    #[expect(clippy::len_without_is_empty, reason = "a picture has at least one tile")]
    pub fn len(&self) -> usize {
        self.grid.columns * self.grid.rows + usize::from(self.thumbnail.is_some())
    }

    /// The rows of a tile from the top, `side · 3` bytes each.
    ///
    /// # Panics
    ///
    /// If there is no such tile.
    pub fn rows(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        let Grid { columns, rows } = self.grid;
        let width = self.side * 3;
        let (bytes, stride, first) = match &self.thumbnail {
            Some(thumbnail) if index == columns * rows => (thumbnail.as_raw(), width, 0),
            _ => {
                assert!(index < columns * rows, "tile {index} of {}", self.len());
                let stride = columns * width;
                let first = (index / columns) * self.side * stride + (index % columns) * width;
                (self.whole.as_raw(), stride, first)
            }
        };
        (0..self.side).map(move |row| &bytes[first + row * stride..][..width])
    }
}

/// A picture on a square of the normalisation's mean colour, in its middle: InternVL's
/// `pad2square`.
pub fn padded_to_square(picture: &RgbImage, normalization: Normalization) -> RgbImage {
    let (width, height) = picture.dimensions();
    let side = width.max(height);
    let mut square = RgbImage::from_pixel(side, side, Rgb(normalization.background()));
    square
        .copy_from(picture, (side - width) / 2, (side - height) / 2)
        .expect("the square holds the picture");
    square
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(width: u32, height: u32, max_tiles: usize) -> (usize, usize) {
        let grid = Tiling::new(448, max_tiles).grid(width, height);
        (grid.columns, grid.rows)
    }

    #[test]
    fn the_nearest_shape_wins_and_ties_go_by_area() {
        assert_eq!(grid(448, 448, 1), (1, 1));
        assert_eq!(grid(1024, 768, 6), (3, 2)); // 1.33: |1.33 − 1.5| = 0.17, |1.33 − 1| = 0.33.
        // A square fills 1×1, 2×2 and 3×3 by shape; 900² = 810,000 is more than half of
        // 4 tiles (401,408) and not of 9 (903,168).
        assert_eq!(grid(900, 900, 12), (2, 2));
        assert_eq!(grid(960, 960, 12), (3, 3));
        assert_eq!(grid(10_000, 100, 12), (12, 1));
    }

    #[test]
    fn several_pictures_share_the_tiles() {
        let tiling = Tiling::new(448, 12);
        assert_eq!([1, 2, 5, 13].map(|n| tiling.among(n).max_tiles), [12, 6, 2, 1]);
        assert_eq!(tiling.count(448, 448), 1);
        assert_eq!(tiling.count(896, 448), 3);
        // None has three tiles and at most two: InternVL's code starts from one, and stays there.
        assert_eq!(Tiling { min_tiles: 3, max_tiles: 2, ..tiling }.count(1, 1), 1);
    }

    #[test]
    fn tiles_are_cut_row_by_row_and_end_in_the_thumbnail() {
        // Four quarters of 2×2 pixels, each of one colour.
        let picture = RgbImage::from_fn(4, 4, |x, y| Rgb([(x / 2 + y / 2 * 2) as u8; 3]));
        let tiling = Tiling { side: 2, min_tiles: 4, max_tiles: 4, ..Tiling::new(2, 4) };
        let tiles = tiling.cut(&picture);
        assert_eq!(tiles.len(), 5);
        for index in 0..4 {
            assert!(tiles.rows(index).all(|row| row == [index as u8; 6]), "tile {index}");
        }
        assert_eq!(tiles.rows(4).count(), 2);
    }
}
