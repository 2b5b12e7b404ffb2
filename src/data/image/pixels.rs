//! Tiles as normalised tensors: values in [0, 1], less a mean, over a deviation.

use super::decode::decode;
use super::tiling::{Tiles, Tiling};
use crate::error::Result;
use rayon::prelude::*;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Whose statistics the values are normalised by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Normalization {
    /// ImageNet's: every released InternVL.
    Imagenet,
    /// CLIP's.
    Clip,
    /// SigLIP's: to [−1, 1].
    Siglip,
}

impl Normalization {
    /// All of them, by the names that InternVL gives them.
    pub const NAMES: &[(&str, Self)] =
        &[("imagenet", Self::Imagenet), ("clip", Self::Clip), ("siglip", Self::Siglip)];

    /// Mean of each channel.
    pub fn mean(self) -> [f64; 3] {
        match self {
            Self::Imagenet => [0.485, 0.456, 0.406],
            Self::Clip => [0.481_454_6, 0.457_827_5, 0.408_210_73],
            Self::Siglip => [0.5; 3],
        }
    }

    /// Standard deviation of each channel.
    pub fn deviation(self) -> [f64; 3] {
        match self {
            Self::Imagenet => [0.229, 0.224, 0.225],
            Self::Clip => [0.268_629_5, 0.261_302_5, 0.275_771_1],
            Self::Siglip => [0.5; 3],
        }
    }

    /// The mean as a colour, rounded down.
    pub fn background(self) -> [u8; 3] {
        self.mean().map(|mean| (mean * 255.0) as u8)
    }

    /// What each byte becomes, by channel: `(value / 255 − mean) / deviation`, step by step in f32.
    fn table(self) -> [[f32; 256]; 3] {
        let (mean, deviation) = (self.mean(), self.deviation());
        std::array::from_fn(|channel| {
            let (mean, deviation) = (mean[channel] as f32, deviation[channel] as f32);
            std::array::from_fn(|value| (value as f32 / 255.0 - mean) / deviation)
        })
    }
}

/// Normalised pixels of one picture as one tile: where its size is not the model's side,
/// it is resampled.
///
/// # Shapes
///
/// `[3, side, side]`
///
/// # Errors
///
/// As [`decode`].
pub fn pixels(path: &Path, side: usize) -> Result<Tensor> {
    Ok(pixels_of(path, &Tiling::new(side, 1))?.squeeze_dim(0))
}

/// Normalised pixels of one picture's tiles.
///
/// # Shapes
///
/// `[tiles, 3, side, side]`
///
/// # Errors
///
/// As [`decode`] and [`Tiling::grid`].
pub fn pixels_of(path: &Path, tiling: &Tiling) -> Result<Tensor> {
    let tiles = tiles(path, tiling)?;
    let (tensor, values) = room(tiles.len(), tiling.side);
    fill(&tiles, tiling, values);
    Ok(tensor)
}

/// Normalised pixels of several pictures below `root`, one tile each, decoded in parallel.
///
/// # Shapes
///
/// `[images, 3, side, side]`
///
/// # Errors
///
/// As [`pixels`]; the first faulty path in order is named.
pub fn batch<P: AsRef<Path>>(root: &Path, paths: &[P], side: usize) -> Result<Tensor> {
    let files: Vec<_> = paths.iter().map(|path| (root.join(path), 1)).collect();
    Ok(tiles_of(&files, &Tiling::new(side, 1))?.0)
}

/// Normalised pixels of the tiles of several pictures, decoded in parallel, each file with the
/// most tiles that it may have; and how many tiles each has.
///
/// # Shapes
///
/// `[tiles, 3, side, side]`
///
/// # Errors
///
/// As [`pixels_of`]; the first faulty path in order is named.
pub fn tiles_of<P: AsRef<Path> + Sync>(
    files: &[(P, usize)],
    tiling: &Tiling,
) -> Result<(Tensor, Vec<usize>)> {
    let cut: Vec<Result<Tiles>> = files
        .par_iter()
        .map(|(path, max_tiles)| tiles(path.as_ref(), &tiling.up_to(*max_tiles)))
        .collect();
    let cut = cut.into_iter().collect::<Result<Vec<Tiles>>>()?;
    let counts: Vec<usize> = cut.iter().map(Tiles::len).collect();
    let (tensor, mut values) = room(counts.iter().sum(), tiling.side);
    let mut shares = Vec::with_capacity(cut.len());
    for count in &counts {
        let (share, rest) = values.split_at_mut(count * 3 * tiling.side * tiling.side);
        shares.push(share);
        values = rest;
    }
    cut.par_iter().zip(shares).for_each(|(tiles, share)| fill(tiles, tiling, share));
    Ok((tensor, counts))
}

/// Normalised pixels of tiles into `[tiles, 3, side, side]`.
///
/// # Panics
///
/// If `values` has another size.
pub fn fill(tiles: &Tiles, tiling: &Tiling, values: &mut [f32]) {
    let table = tiling.normalization.table();
    let plane = tiling.side * tiling.side;
    assert_eq!(values.len(), tiles.len() * 3 * plane, "room for every tile");
    for (index, tile) in values.chunks_exact_mut(3 * plane).enumerate() {
        let (red, rest) = tile.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        let mut out = red.iter_mut().zip(green).zip(blue);
        for row in tiles.rows(index) {
            for (pixel, ((red, green), blue)) in row.chunks_exact(3).zip(&mut out) {
                *red = table[0][usize::from(pixel[0])];
                *green = table[1][usize::from(pixel[1])];
                *blue = table[2][usize::from(pixel[2])];
            }
        }
    }
}

fn tiles(path: &Path, tiling: &Tiling) -> Result<Tiles> {
    Ok(tiling.cut(&decode(path)?))
}

/// A tensor `[tiles, 3, side, side]` and its values, to be filled: a copy would cost as much
/// as all the arithmetic.
fn room<'a>(tiles: usize, side: usize) -> (Tensor, &'a mut [f32]) {
    let size = [tiles as i64, 3, side as i64, side as i64];
    let tensor = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let values = tensor.data_ptr().cast::<f32>();
    if values.is_null() {
        return (tensor, &mut []);
    }
    // SAFETY: a fresh contiguous tensor on the CPU, which nobody else has seen; the callers of
    // this module fill the values before they give the tensor away, and drop neither before.
    let values = unsafe { std::slice::from_raw_parts_mut(values, tiles * 3 * side * side) };
    (tensor, values)
}
