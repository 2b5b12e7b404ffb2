//! The pictures of imported pairs, copied into the artifact: a link would let a later edit reach
//! into the store.
//!
//! A data set with `data_augment` has its pictures recompressed as JPEG, as InternVL's transform
//! does. Departures: there it happens to each tile whenever it is seen, here to the whole picture,
//! once a row, so that features can be kept; and the encoder keeps colour at full resolution.

use crate::data::image::{decode, intact};
use crate::data::mmpr::Set;
use crate::error::Context;
use crate::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// The first half of a BLAKE3 hash of paths: millions of paths need not be kept.
pub type Digest = [u8; 16];

/// Of some paths.
pub fn digest(paths: &[&Path]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for path in paths {
        hasher.update(path.as_os_str().as_encoded_bytes()).update(&[0]);
    }
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// What has been brought below a folder.
pub struct Brought<'a> {
    out: &'a Path,
    done: HashSet<Digest>,
}

impl<'a> Brought<'a> {
    /// Nothing yet.
    pub fn new(out: &'a Path) -> Self {
        Self { out, done: HashSet::new() }
    }

    /// Brings a picture of a data set along, where it has not come yet, as it is or as a JPEG of
    /// a quality. Returns its path there.
    ///
    /// # Errors
    ///
    /// A picture that cannot be read, or that breaks off.
    pub fn bring(&mut self, set: &Set, image: &str, quality: Option<u8>) -> Result<String> {
        let folder = quality.map_or(String::new(), |quality| format!("q{quality}/"));
        let copy = format!("images/{}/{folder}{image}", set.name);
        let (from, to) = (set.root.join(image), self.out.join(&copy));
        if self.done.insert(digest(&[&to])) {
            let doing = || format!("could not bring {} along", from.display());
            let folder = to.parent().expect("a picture lies in a folder");
            fs::create_dir_all(folder).with_context(doing)?;
            match quality {
                None => fs::write(&to, intact(&from)?).with_context(doing)?,
                Some(quality) => fs::write(&to, jpeg(&from, quality)?).with_context(doing)?,
            }
        }
        Ok(copy)
    }
}

/// A picture's file as a JPEG.
fn jpeg(from: &Path, quality: u8) -> Result<Vec<u8>> {
    let picture = decode(from)?;
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(&picture)
        .map_err(|error| Error::new(format!("picture {} as JPEG: {error}", from.display())))?;
    Ok(bytes)
}
