//! Pictures out of a benchmark's file into a folder, one at a time.
//!
//! A picture is named by its content, so that one that a file holds many times is written once,
//! and questions about it are seen to hang together.

use crate::data::image::decode;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// How many folders above the file's own a picture is looked for in: InternVL's files name their
/// pictures from the top of its checkout.
const ABOVE: usize = 4;
/// Folders beside the file that data sets keep their pictures in.
const BESIDE: [&str; 7] =
    ["images", "image", "img", "val2014", "train_images", "png", "images/CRPE"];

/// Where pictures go, and where those that a file names lie.
#[derive(Debug)]
pub struct Pictures<'a> {
    to: To<'a>,
    folder: String,
    /// The open table's own folder.
    own: PathBuf,
    roots: Vec<PathBuf>,
    copied: HashMap<String, String>,
}

/// What becomes of pictures.
#[derive(Clone, Debug)]
enum To<'a> {
    /// They go below a folder.
    Folder(&'a Path),
    /// They stay where they are, and only their names count.
    Nowhere,
    /// Those that are files are listed.
    List(Vec<PathBuf>),
}

impl<'a> Pictures<'a> {
    /// Pictures of the benchmark `name`, below `out/images/NAME`.
    ///
    /// # Errors
    ///
    /// A folder that cannot be made.
    pub fn new(out: &'a Path, name: &str, file: &Path) -> crate::Result<Self> {
        use crate::error::Context;
        let folder = format!("images/{name}");
        std::fs::create_dir_all(out.join(&folder)).with_context(|| format!("creating {folder}"))?;
        Ok(Self { folder, ..Self::of(To::Folder(out), roots(file)) })
    }

    /// Pictures that nobody looks at: they stay where they are, and only their names count.
    pub fn unseen() -> Self {
        Self::of(To::Nowhere, Vec::new())
    }

    /// Pictures of a file that are only looked for: [`Self::found`] says where they lie.
    pub fn listed(file: &Path) -> Self {
        Self::of(To::List(Vec::new()), roots(file))
    }

    fn of(to: To<'a>, roots: Vec<PathBuf>) -> Self {
        let (folder, own) = (String::new(), PathBuf::new());
        Self { to, folder, own, roots, copied: HashMap::new() }
    }

    /// Goes on to a table. VLMEvalKit keeps the pictures of `CRPE_EXIST.tsv` in `images/CRPE_EXIST`
    /// beside it, and another table's may have the same names.
    pub fn open(&mut self, table: &Path) {
        let stem = table.file_stem().unwrap_or_default();
        self.own = table.parent().unwrap_or(Path::new("")).join("images").join(stem);
        self.copied.clear();
    }

    /// Where the pictures lie that were looked for, each once, in order.
    pub fn found(self) -> Vec<PathBuf> {
        match self.to {
            To::List(found) => found,
            To::Folder(_) | To::Nowhere => Vec::new(),
        }
    }

    /// Keeps a picture's bytes; its path below the output folder.
    ///
    /// # Errors
    ///
    /// Bytes that are no picture, and a disk that refuses.
    pub fn keep(&self, bytes: &[u8]) -> Result<String, String> {
        let name = &blake3::hash(bytes).to_hex()[..20];
        let path = format!("{}/{name}.{}", self.folder, extension(bytes));
        let To::Folder(out) = self.to else { return Ok(path) };
        let target = out.join(&path);
        if !target.exists() {
            decode::from_bytes(bytes)
                .map_err(|error| format!("the picture is damaged: {error}"))?;
            std::fs::write(&target, bytes).map_err(|error| format!("writing {path}: {error}"))?;
        }
        Ok(path)
    }

    /// Keeps a picture in base64, with or without a data URL's beginning.
    ///
    /// # Errors
    ///
    /// Text that is not base64, and what [`Self::keep`] says.
    pub fn keep_base64(&self, text: &str) -> Result<String, String> {
        const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let text = match text.trim_start().strip_prefix("data:") {
            Some(url) => url.split_once(',').map_or("", |(_, data)| data),
            None => text,
        };
        let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let bytes = ANY_PADDING
            .decode(&packed)
            .map_err(|error| format!("the picture's base64 is broken: {error}"))?;
        self.keep(&bytes)
    }

    /// Copies a picture that the file names: relative to its table's own folder of pictures, to its
    /// folder, to a folder above, or to one of `BESIDE` in its folder and the one above.
    ///
    /// # Errors
    ///
    /// A path that leaves these folders, and one where nothing lies.
    pub fn copy(&mut self, path: &str) -> Result<String, String> {
        if let Some(known) = self.copied.get(path) {
            return Ok(known.clone());
        }
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(path).components().all(plain) {
            return Err(format!("the picture's path `{path}` leaves the file's folder"));
        }
        let roots = std::iter::once(&self.own).chain(&self.roots);
        let found = roots.map(|root| root.join(path)).find(|file| file.is_file());
        let found = found.ok_or_else(|| {
            let own = self.roots[0].display();
            format!("there is no picture `{path}` in {own}, its `images`, or a folder above")
        })?;
        if let To::List(list) = &mut self.to {
            list.push(found);
            self.copied.insert(path.to_owned(), String::new());
            return Ok(String::new());
        }
        let bytes = std::fs::read(&found).map_err(|error| format!("reading `{path}`: {error}"))?;
        let kept = self.keep(&bytes).map_err(|error| format!("`{path}`: {error}"))?;
        self.copied.insert(path.to_owned(), kept.clone());
        Ok(kept)
    }

    /// What a field holds: a path if it looks like one, else base64.
    ///
    /// # Errors
    ///
    /// As [`Self::copy`] and [`Self::keep_base64`].
    pub fn take(&mut self, text: &str) -> Result<String, String> {
        match (&self.to, is_path(text)) {
            (To::Nowhere, true) => Ok(text.to_owned()),
            (To::Nowhere, false) => self.keep(text.as_bytes()),
            (To::Folder(_), false) => self.keep_base64(text),
            (To::List(_), false) => Ok(String::new()),
            (To::Folder(_) | To::List(_), true) => self.copy(text),
        }
    }
}

/// Where the pictures of a file may lie, nearest first.
fn roots(file: &Path) -> Vec<PathBuf> {
    let own = if file.is_dir() { Some(file) } else { file.parent() };
    let own = own.filter(|own| !own.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let own = std::fs::canonicalize(own).unwrap_or_else(|_| own.to_path_buf());
    // POPE's questions lie in `pope/coco`, its pictures in `pope/val2014`.
    let beside = |folder: &Path| BESIDE.map(|name| folder.join(name));
    let mut roots = vec![own.clone()];
    roots.extend(beside(&own));
    for (level, above) in own.ancestors().skip(1).take(ABOVE).enumerate() {
        roots.push(above.to_path_buf());
        roots.extend((level == 0).then(|| beside(above)).into_iter().flatten());
    }
    roots
}

/// Whether a text is a path to a picture and not base64: short, with a picture's extension.
pub fn is_path(text: &str) -> bool {
    const LONGEST: usize = 1024;
    let extension = text.trim().rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    let known = ["jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff"];
    text.len() <= LONGEST && extension.is_some_and(|end| known.contains(&end.as_str()))
}

/// The extension for some bytes, by how they begin.
fn extension(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xff, 0xd8, ..] => "jpg",
        [b'G', b'I', b'F', b'8', ..] => "gif",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        [b'B', b'M', ..] => "bmp",
        _ => "bin",
    }
}
