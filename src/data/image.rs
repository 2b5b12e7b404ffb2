//! Pictures as the vision tower wants them: decoded to RGB, scaled to [0, 1],
//! normalised by ImageNet's mean and deviation as InternVL does.

use crate::error::{Error, Result};
use image::{ImageReader, Limits, RgbImage};
use rayon::prelude::*;
use std::path::Path;
use tch::Tensor;

/// Mean of ImageNet's channels.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of ImageNet's channels.
pub const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Longest side that is decoded, in pixels.
const MAX_SIDE: u32 = 32_768;
/// Most memory that decoding may take: a small file that unpacks to more is refused.
const MAX_BYTES: u64 = 1 << 30;

/// A picture as RGB: palettes and grey are expanded, alpha is dropped.
///
/// # Errors
///
/// A missing, truncated or oversized file, named.
pub fn decode(path: &Path) -> Result<RgbImage> {
    let fault = |error: &dyn std::fmt::Display| {
        Error::new(format!("picture {} cannot be decoded: {error}", path.display()))
    };
    let mut reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|error| {
            Error::new(format!("picture {} cannot be opened: {error}", path.display()))
        })?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    Ok(reader.decode().map_err(|error| fault(&error))?.into_rgb8())
}

/// Whether a picture can be decoded.
///
/// # Errors
///
/// As [`decode`].
pub fn check(path: &Path) -> Result<()> {
    decode(path).map(|_| ())
}

/// Normalised pixels of one picture that has the model's side already.
///
/// # Shapes
///
/// `[3, side, side]`
///
/// # Errors
///
/// As [`decode`]; or another size.
pub fn pixels(path: &Path, side: usize) -> Result<Tensor> {
    let side_i = side as i64;
    Ok(Tensor::from_slice(&planes(path, side)?).view([3, side_i, side_i]))
}

/// Normalised pixels of several pictures below `root`, decoded in parallel.
///
/// # Shapes
///
/// `[images, 3, side, side]`
///
/// # Errors
///
/// As [`pixels`]; the first faulty path in order is named.
pub fn batch<P: AsRef<Path> + Sync>(root: &Path, paths: &[P], side: usize) -> Result<Tensor> {
    let all: Vec<Result<Vec<f32>>> =
        paths.par_iter().map(|path| planes(&root.join(path), side)).collect();
    let mut flat = Vec::with_capacity(paths.len() * 3 * side * side);
    for one in all {
        flat.extend(one?);
    }
    let side = side as i64;
    Ok(Tensor::from_slice(&flat).view([paths.len() as i64, 3, side, side]))
}

/// Normalised pixels, channel by channel.
fn planes(path: &Path, side: usize) -> Result<Vec<f32>> {
    let picture = decode(path)?;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    if (width, height) != (side, side) {
        return Err(Error::new(format!(
            "picture {} is {width}×{height}, and the model's side is {side}",
            path.display()
        ))
        .hint(format!("give pictures of {side}×{side} pixels, or set `model.dims.image_side`")));
    }
    let pixels = picture.as_raw();
    let mut planes = Vec::with_capacity(pixels.len());
    for channel in 0..3 {
        planes.extend(
            pixels[channel..]
                .iter()
                .step_by(3)
                .map(|value| (f32::from(*value) / 255.0 - MEAN[channel]) / DEVIATION[channel]),
        );
    }
    Ok(planes)
}
