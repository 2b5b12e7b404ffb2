//! The corpus stage: questions and pictures on disk, generated or taken from files.
//!
//! Either way the artifact holds `SPLIT.jsonl` for all four splits (a question
//! a line; empty where a split is not given) and the pictures below `images/`.

use super::{FAMILIES, Family, index};
use crate::data::image::check;
use crate::data::questions::{read_numbered, write_questions};
use crate::data::record::Question;
use crate::error::{Context, Error, Result};
use crate::spec::corpus::{Corpus, Files};
use crate::spec::eval::Split;
use crate::stage::StageContext;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Pictures between two progress lines.
const CHUNK: usize = 2000;
/// Faulty rows that an error names; the rest is counted.
const NAMED: usize = 5;

/// Writes the corpus artifact.
///
/// # Errors
///
/// An unknown or repeated family; for files: a bad line, a path that leaves the
/// root, a missing or damaged picture, each named with its file and line.
pub fn run(corpus: &Corpus, ctx: &StageContext) -> Result<()> {
    match &corpus.files {
        Some(files) => import(corpus, files, ctx),
        None => generate(corpus, ctx),
    }
}

/// How many questions of a split are wanted.
fn wanted(corpus: &Corpus, split: Split) -> usize {
    match split {
        Split::Base => corpus.base,
        Split::Train => corpus.train,
        Split::Validation => corpus.validation,
        Split::Test => corpus.test,
    }
}

fn generate(corpus: &Corpus, ctx: &StageContext) -> Result<()> {
    let families: Vec<&Family> =
        corpus.tasks.iter().map(|name| Family::named(name)).collect::<Result<_>>()?;
    if let Some(twice) = (1..families.len())
        .find(|at| families[..*at].iter().any(|family| family.name == families[*at].name))
    {
        return Err(Error::spec(format!("`{}` is listed twice", families[twice].name))
            .hint("every family of `corpus.tasks` has the same share of the questions"));
    }
    if families.is_empty() {
        let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        return Err(Error::spec("`corpus.tasks` names no family")
            .hint(format!("choose from {}", names.join(", "))));
    }
    let total: usize = Split::ALL.iter().map(|split| wanted(corpus, *split)).sum();
    let mut done = 0;
    for split in Split::ALL {
        let folder = format!("images/{}", split.name());
        let count = wanted(corpus, split);
        std::fs::create_dir_all(ctx.out.join(&folder))
            .with_context(|| format!("creating {folder}"))?;
        let mut questions = Vec::with_capacity(count);
        for start in (0..count).step_by(CHUNK) {
            let chunk: Vec<Question> = (start..count.min(start + CHUNK))
                .into_par_iter()
                .map(|row| {
                    // Families take turns, so that any prefix of a split is balanced.
                    let family = families[row % families.len()];
                    let position = row / families.len();
                    let item = family.item(corpus.seed, index(split, position as u64));
                    let image = format!("{folder}/{row:06}.png");
                    std::fs::write(ctx.out.join(&image), item.picture.png()?)
                        .with_context(|| format!("writing {image}"))?;
                    let id = format!("{}-{}-{position:05}", split.name(), family.name);
                    Ok(item.record(id, image, family.name))
                })
                .collect::<Result<_>>()?;
            done += chunk.len();
            ctx.progress.report(done as u64, total as u64, "pictures");
            questions.extend(chunk);
        }
        write_questions(&ctx.out.join(format!("{}.jsonl", split.name())), &questions)?;
    }
    Ok(())
}

fn import(corpus: &Corpus, files: &Files, ctx: &StageContext) -> Result<()> {
    let root = std::fs::canonicalize(&files.root).map_err(|error| {
        Error::new(format!("the image root `{}` cannot be opened: {error}", files.root))
            .hint("`corpus.files.root` is the folder that image paths are relative to")
    })?;
    let mut seen = Seen::default();
    for (done, split) in (1..).zip(Split::ALL) {
        let questions = match named(files, split) {
            None => Vec::new(),
            Some(file) => {
                let path = beside(&root, file);
                let rows = read_numbered(&path)?;
                let rows = choose(rows, wanted(corpus, split), corpus.seed, split);
                seen.ids(&rows, &path)?;
                bring(rows, &path, &root, &ctx.out, &mut seen)?
            }
        };
        write_questions(&ctx.out.join(format!("{}.jsonl", split.name())), &questions)?;
        let note = format!("splits, {} pictures", seen.pictures.len());
        ctx.progress.report(done, Split::ALL.len() as u64, note);
    }
    Ok(())
}

/// The question file of a split.
fn named(files: &Files, split: Split) -> Option<&str> {
    match split {
        Split::Base => files.base.as_deref(),
        Split::Train => Some(&files.train),
        Split::Validation => files.validation.as_deref(),
        Split::Test => Some(&files.test),
    }
}

/// Where a question file lies.
pub fn located(files: &Files, file: &str) -> PathBuf {
    beside(Path::new(&files.root), file)
}

/// What [`pictures`] are called in a key: all that decides which they are.
pub fn named_pictures(corpus: &Corpus) -> String {
    let Corpus { base, train, validation, test, seed, files, .. } = corpus;
    let root = files.as_ref().map_or("", |files| &files.root);
    format!("pictures below {root} ({base}, {train}, {validation}, {test} questions, seed {seed})")
}

/// The pictures that the stage would bring from files, each once. Rows and pictures that cannot be
/// read are left out: the stage says so.
pub fn pictures(corpus: &Corpus) -> Vec<PathBuf> {
    let Some(files) = &corpus.files else { return Vec::new() };
    let Ok(root) = std::fs::canonicalize(&files.root) else { return Vec::new() };
    let mut paths = BTreeSet::new();
    for split in Split::ALL {
        let Some(file) = named(files, split) else { continue };
        let rows = read_numbered(&beside(&root, file)).unwrap_or_default();
        let rows = choose(rows, wanted(corpus, split), corpus.seed, split);
        paths.extend(rows.into_iter().flat_map(|(_, question)| question.images));
    }
    paths.iter().filter_map(|path| below(&root, path).ok()).collect()
}

/// What earlier splits brought.
#[derive(Default)]
struct Seen {
    pictures: BTreeSet<String>,
    ids: BTreeMap<String, PathBuf>,
}

impl Seen {
    /// A question in two splits would be learned and then reported on.
    fn ids(&mut self, rows: &[(usize, Question)], file: &Path) -> Result<()> {
        for (line, question) in rows {
            if let Some(other) = self.ids.insert(question.id.clone(), file.to_owned()) {
                let (id, file, other) = (&question.id, file.display(), other.display());
                return Err(Error::new(format!("{file}:{line}: the id `{id}` is in {other} too"))
                    .hint("a question belongs to one split; give each split a file of its own"));
            }
        }
        Ok(())
    }
}

/// A question file lies below the root, or where its path says.
fn beside(root: &Path, file: &str) -> PathBuf {
    let below = root.join(file);
    if below.exists() { below } else { PathBuf::from(file) }
}

/// At most `count` rows, chosen by a keyed hash of their line numbers, in file order.
fn choose(
    mut rows: Vec<(usize, Question)>,
    count: usize,
    seed: u64,
    split: Split,
) -> Vec<(usize, Question)> {
    if rows.len() > count {
        let rank = |line: usize| {
            let mut key = blake3::Hasher::new();
            key.update(b"prefab corpus\0").update(split.name().as_bytes());
            key.update(&seed.to_le_bytes()).update(&(line as u64).to_le_bytes());
            *key.finalize().as_bytes()
        };
        rows.sort_by_cached_key(|(line, _)| rank(*line));
        rows.truncate(count);
        rows.sort_unstable_by_key(|(line, _)| *line);
    }
    rows
}

/// Copies the pictures of some questions below `images/` and points the questions there.
fn bring(
    rows: Vec<(usize, Question)>,
    file: &Path,
    root: &Path,
    out: &Path,
    seen: &mut Seen,
) -> Result<Vec<Question>> {
    // Each picture once, with the first line that names it.
    let mut fresh: Vec<(usize, &str)> = Vec::new();
    for (line, question) in &rows {
        for path in &question.images {
            if seen.pictures.insert(path.clone()) {
                fresh.push((*line, path));
            }
        }
    }
    let faults: Vec<String> = fresh
        .par_iter()
        .filter_map(|(line, path)| {
            let error = copy(path, root, out).err()?;
            Some(format!("\n  {}:{line}: {error}", file.display()))
        })
        .collect();
    if !faults.is_empty() {
        let some = faults[..faults.len().min(NAMED)].concat();
        return Err(Error::new(format!(
            "{} of {} pictures are faulty:{some}",
            faults.len(),
            fresh.len()
        ))
        .hint("mend or remove these rows; nothing was kept"));
    }
    Ok(rows
        .into_iter()
        .map(|(_, mut question)| {
            for path in &mut question.images {
                *path = format!("images/{path}");
            }
            question
        })
        .collect())
}

/// One picture, checked and copied.
fn copy(path: &str, root: &Path, out: &Path) -> Result<()> {
    let source = below(root, path)?;
    check(&source)?;
    let target = out.join("images").join(path);
    let folder = target.parent().expect("a picture lies in a folder");
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    std::fs::copy(&source, &target).with_context(|| format!("copying {path}"))?;
    Ok(())
}

/// A path that stays below the root, links followed.
fn below(root: &Path, path: &str) -> Result<PathBuf> {
    let leaves = || {
        Error::new(format!("image path `{path}` leaves the root `{}`", root.display()))
            .hint("paths are relative to `corpus.files.root`, without `..`")
    };
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(path).components().all(plain) {
        return Err(leaves());
    }
    let source = std::fs::canonicalize(root.join(path))
        .with_context(|| format!("picture `{path}` cannot be opened"))?;
    if source.starts_with(root) { Ok(source) } else { Err(leaves()) }
}
