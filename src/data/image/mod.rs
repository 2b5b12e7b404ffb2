//! Pictures as the vision tower wants them: decoded to RGB, cut into tiles,
//! resampled and normalised, all as InternVL's own pipeline does with Pillow.
//!
//! | file | what it does |
//! |---|---|
//! | `decode` | a file to RGB bytes, as Pillow's `convert('RGB')`; sizes from headers |
//! | [`bicubic`] | Pillow's resampling, to the byte |
//! | [`tiling`] | how many tiles a picture has, and which pixels they hold |
//! | `pixels` | tiles as normalised tensors |

pub mod bicubic;
pub mod decode;
pub mod pixels;
pub mod tiling;

mod wide;

pub use decode::{check, decode, intact, size};
pub use pixels::{Normalization, batch, pixels, pixels_of, tiles_of};
pub use tiling::{Grid, MOST_TILES, Tiles, Tiling, View, count_of};
