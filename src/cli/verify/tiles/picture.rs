//! What was recorded of each picture of a folder: sizes, grids, hashes, values.

use super::super::exact::EXACT;
use super::super::ledger::{Ledger, Tolerance};
use super::super::record::{Tensors, array, floats, object, side, text, whole};
use super::{FILES, compare_bytes};
use crate::data::image::pixels::fill;
use crate::data::image::tiling::padded_to_square;
use crate::data::image::{Normalization, Tiles, Tiling, decode, size};
use crate::error::Context;
use crate::{Error, Result};
use image::RgbImage;
use safetensors::tensor::Dtype;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Means, deviations and values after normalisation, f32 against f32.
const FLOAT: Tolerance = Tolerance { absolute: 1e-6, relative: 0.0 };
/// Decoders of lossy files differ from libjpeg-turbo's: by up to 5 in the rounding of the inverse
/// transform and of the chroma's enlargement, and by up to 20 in the last column and row, where
/// blocks hang over (120 files of all samplings: 0.38 in the mean at most).
const LOSSY: Tolerance = Tolerance { absolute: 24.0, relative: 0.0 };
const LOSSY_MEAN: Tolerance = Tolerance { absolute: 0.5, relative: 0.0 };

/// The pictures of a folder, and how they are to be tiled.
pub struct Pictures<'a> {
    dir: PathBuf,
    side: usize,
    normalization: Normalization,
    tensors: &'a Tensors,
    /// Tensors that were compared.
    used: BTreeSet<String>,
    ledger: &'a mut Ledger,
}

impl<'a> Pictures<'a> {
    /// Those that were recorded in a file.
    pub fn of(
        dir: &Path,
        expected: &Value,
        tensors: &'a Tensors,
        ledger: &'a mut Ledger,
    ) -> Result<Self> {
        let name = expected["normalize"].as_str().unwrap_or_default();
        let found = Normalization::NAMES.iter().find(|(known, _)| *known == name);
        let Some((_, normalization)) = found else {
            return Err(Error::new(format!("`{name}` is not a normalisation"))
                .hint("`normalize` is imagenet, clip or siglip"));
        };
        let side = side(expected, "image_size")?;
        let (dir, used) = (dir.to_owned(), BTreeSet::new());
        Ok(Self { dir, side, normalization: *normalization, tensors, used, ledger })
    }

    /// Recomputes everything that was recorded of them.
    pub fn verify(&mut self, expected: &Value) -> Result<()> {
        for (name, value) in object(expected, "the file")? {
            match name.as_str() {
                "image_size" | "normalize" | "versions" => {}
                "mean" | "std" => {
                    let ours = match name.as_str() {
                        "mean" => self.normalization.mean(),
                        _ => self.normalization.deviation(),
                    };
                    let name = format!("normalisation's {name}");
                    self.ledger.compare_all(&name, "", &ours, &floats(value)?, FLOAT);
                }
                "images" => {
                    for image in array(expected, "images")? {
                        let file = text(image, "file")?;
                        self.picture(file, image).context(file)?;
                    }
                }
                "target_ratios" => self.candidates(value)?,
                _ => self.ledger.unknown(format!("{}: {name}", FILES[1])),
            }
        }
        let tensors = self.tensors;
        for name in tensors.names().into_iter().filter(|name| !self.used.contains(name)) {
            match name.strip_suffix(".decoded_uint8") {
                Some(stem) => {
                    let recorded = tensors.picture(&name)?;
                    let endings = ["", ".jpg", ".jpeg", ".webp"];
                    let mut files = endings.iter().map(|end| self.dir.join(format!("{stem}{end}")));
                    let file = files.find(|file| file.is_file()).ok_or_else(|| {
                        Error::new(format!("`{name}` of {} is of no picture here", FILES[2]))
                    })?;
                    let (got, recorded) = (decode(&file)?, recorded.as_raw());
                    compare_bytes("lossy bytes", &name, got.as_raw(), recorded, LOSSY, self.ledger);
                    let apart = got.as_raw().iter().zip(recorded).map(|(a, b)| a.abs_diff(*b));
                    let mean = apart.map(f64::from).sum::<f64>() / recorded.len() as f64;
                    self.ledger.compare("lossy bytes, mean", &name, mean, 0.0, LOSSY_MEAN);
                }
                None => self.ledger.unknown(format!("{}: {name}", FILES[2])),
            }
        }
        Ok(())
    }

    /// The grids that may be chosen, by `MIN-MAX`; ties are in no particular order.
    fn candidates(&mut self, recorded: &Value) -> Result<()> {
        for (range, grids) in object(recorded, "`target_ratios`")? {
            let bounds = range.split_once('-').and_then(|(min, max)| {
                Some((min.parse::<usize>().ok()?, max.parse::<usize>().ok()?))
            });
            let (min_tiles, max_tiles) =
                bounds.ok_or_else(|| Error::new(format!("`{range}` is no range of tiles")))?;
            let mut recorded: Vec<(usize, usize)> = serde_json::from_value(grids.clone())
                .with_context(|| format!("`target_ratios` {range}"))?;
            let tiling = Tiling { min_tiles, ..Tiling::new(self.side, max_tiles) };
            let mut ours: Vec<(usize, usize)> =
                tiling.grids().iter().map(|grid| (grid.columns, grid.rows)).collect();
            let is_by_tiles = recorded.is_sorted_by_key(|(columns, rows)| columns * rows);
            self.ledger.same("grids by number of tiles", range, &is_by_tiles, &true);
            recorded.sort_unstable();
            ours.sort_unstable();
            self.ledger.same("grids to choose from", range, &ours, &recorded);
        }
        Ok(())
    }

    fn picture(&mut self, file: &str, recorded: &Value) -> Result<()> {
        let path = self.dir.join(file);
        let picture = decode(&path)?;
        let (width, height) = size(&path)?;
        let id = file.split(['_', '.']).next().unwrap_or_default();
        for (name, value) in object(recorded, "an image")? {
            match name.as_str() {
                // The mode is the file's own.
                "file" | "mode" => {}
                "width" => _ = self.ledger.same("size", file, &Value::from(width), value),
                "height" => _ = self.ledger.same("size", file, &Value::from(height), value),
                "rgb_sha256" => {
                    let hash = sha256(picture.as_raw());
                    self.ledger.same("RGB hash", file, &Value::from(hash), value);
                }
                "grids" => self.grids(file, (width, height), value)?,
                "full" => self.full(id, file, &picture, value)?,
                "pad2square" => self.padded(id, file, &picture, value)?,
                _ => self.ledger.unknown(format!("{}: {file}: {name}", FILES[1])),
            }
        }
        Ok(())
    }

    fn grids(&mut self, file: &str, (width, height): (u32, u32), recorded: &Value) -> Result<()> {
        for (most, recorded) in object(recorded, "`grids`")? {
            let most = most.parse().with_context(|| format!("`grids` {most}"))?;
            let tiling = Tiling::new(self.side, most);
            let grid = tiling.grid(width, height);
            for (name, value) in object(recorded, "a grid")? {
                let ours = match name.as_str() {
                    "cols" => grid.columns,
                    "rows" => grid.rows,
                    "tiles" => grid.columns * grid.rows,
                    "tiles_with_thumbnail" => tiling.count(width, height),
                    _ => {
                        self.ledger.unknown(format!("{}: {file}: grids: {name}", FILES[1]));
                        continue;
                    }
                };
                self.ledger.same("grid of a picture", file, &Value::from(ours), value);
            }
        }
        Ok(())
    }

    fn full(&mut self, id: &str, file: &str, picture: &RgbImage, recorded: &Value) -> Result<()> {
        let tiling = Tiling {
            has_thumbnail: recorded["use_thumbnail"].as_bool().unwrap_or(true),
            min_tiles: recorded.get("min_num").map_or(Ok(1), |_| whole(recorded, "min_num"))?,
            normalization: self.normalization,
            ..Tiling::new(self.side, whole(recorded, "max_num")?)
        };
        let tiles = tiling.cut(picture);
        let name = format!("{id}.max{}", tiling.max_tiles);
        for (field, value) in object(recorded, "`full`")? {
            match field.as_str() {
                "max_num" | "min_num" | "use_thumbnail" => {}
                "shape" => {
                    let shape = [tiles.len(), 3, self.side, self.side];
                    self.ledger.same("tiles' shape", file, &Value::from(&shape[..]), value);
                }
                "tiles" => {
                    let list = array(recorded, "tiles")?;
                    if !self.ledger.same("number of tiles", file, &tiles.len(), &list.len()) {
                        return Ok(());
                    }
                    let planes = planes(&tiles, &tiling);
                    for (index, recorded) in list.iter().enumerate() {
                        self.tile(
                            &format!("{file} tile {index}"),
                            &tiles,
                            index,
                            &planes,
                            recorded,
                        )?;
                    }
                    self.sampled(&name, &tiles, &planes)?;
                }
                _ => self.ledger.unknown(format!("{}: {file}: full: {field}", FILES[1])),
            }
        }
        Ok(())
    }

    fn padded(&mut self, id: &str, file: &str, picture: &RgbImage, recorded: &Value) -> Result<()> {
        let normalization = self.normalization;
        let square = padded_to_square(picture, normalization);
        let tiling = Tiling { normalization, ..Tiling::new(self.side, 1) };
        let tiles = tiling.cut(&square);
        let planes = planes(&tiles, &tiling);
        let mut rest = object(recorded, "`pad2square`")?.clone();
        if let Some(value) = rest.remove("background") {
            let ours = Value::from(&normalization.background()[..]);
            self.ledger.same("background", file, &ours, &value);
        }
        self.tile(&format!("{file} padded"), &tiles, 0, &planes, &Value::Object(rest))?;
        self.sampled(&format!("{id}.pad2square"), &tiles, &planes)
    }

    /// One tile's hashes, sum and statistics.
    fn tile(
        &mut self,
        at: &str,
        tiles: &Tiles,
        index: usize,
        planes: &[f32],
        recorded: &Value,
    ) -> Result<()> {
        let plane = self.side * self.side;
        let planes = &planes[index * 3 * plane..][..3 * plane];
        for (name, value) in object(recorded, "a tile")? {
            match name.as_str() {
                "uint8_hwc_sha256" => {
                    let bytes: Vec<u8> = tiles.rows(index).flatten().copied().collect();
                    self.ledger.same("uint8 hash", at, &Value::from(sha256(&bytes)), value);
                }
                "float32_chw_sha256" => {
                    let bytes: Vec<u8> = planes.iter().flat_map(|v| v.to_le_bytes()).collect();
                    self.ledger.same("float32 hash", at, &Value::from(sha256(&bytes)), value);
                }
                "uint8_sum" => {
                    let sum: u64 = tiles.rows(index).flatten().map(|v| u64::from(*v)).sum();
                    self.ledger.same("uint8 sum", at, &Value::from(sum), value);
                }
                "mean" | "std" => {
                    let ours: Vec<f64> = planes
                        .chunks_exact(plane)
                        .map(
                            |channel| {
                                if name == "mean" { mean(channel) } else { deviation(channel) }
                            },
                        )
                        .collect();
                    let name = format!("tile's {name}");
                    self.ledger.compare_all(&name, at, &ours, &floats(value)?, FLOAT);
                }
                _ => self.ledger.unknown(format!("{}: {at}: {name}", FILES[1])),
            }
        }
        Ok(())
    }

    /// Pixels at even distances, from half a distance on, in both directions.
    fn sampled(&mut self, name: &str, tiles: &Tiles, planes: &[f32]) -> Result<()> {
        let side = self.side;
        let places = |count: usize| (0..count).map(move |at| (2 * at + 1) * side / (2 * count));
        let float = format!("{name}.sub16");
        if let Some(view) = self.tensors.get(&float, Dtype::F32)? {
            let count = *view.shape().last().unwrap_or(&0);
            let ours: Vec<f64> = planes
                .chunks_exact(side * side)
                .flat_map(|plane| {
                    places(count).flat_map(move |y| {
                        places(count).map(move |x| f64::from(plane[y * side + x]))
                    })
                })
                .collect();
            let recorded: Vec<f64> = view
                .data()
                .chunks_exact(4)
                .map(|v| f64::from(f32::from_le_bytes([v[0], v[1], v[2], v[3]])))
                .collect();
            self.ledger.compare_all("normalised values", &float, &ours, &recorded, FLOAT);
            self.used.insert(float);
        }
        let bytes = format!("{name}.uint8_sub16");
        if let Some(view) = self.tensors.get(&bytes, Dtype::U8)? {
            let count = view.shape().get(1).copied().unwrap_or(0);
            let mut ours = Vec::new();
            for index in 0..tiles.len() {
                let rows: Vec<&[u8]> = tiles.rows(index).collect();
                for y in places(count) {
                    places(count).for_each(|x| ours.extend_from_slice(&rows[y][x * 3..x * 3 + 3]));
                }
            }
            compare_bytes("tile bytes", &bytes, &ours, view.data(), EXACT, self.ledger);
            self.used.insert(bytes);
        }
        Ok(())
    }
}

/// Normalised pixels of tiles: `[tiles, 3, side, side]`, flat.
fn planes(tiles: &Tiles, tiling: &Tiling) -> Vec<f32> {
    let mut values = vec![0.0; tiles.len() * 3 * tiling.side * tiling.side];
    fill(tiles, tiling, &mut values);
    values
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}

/// Of the population.
fn deviation(values: &[f32]) -> f64 {
    let mean = mean(values);
    let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2));
    (squares.sum::<f64>() / values.len() as f64).sqrt()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
