//! `prefab export CHECKPOINT OUT`: a model as a folder that InternVL's code or transformers loads.

use super::{checkpoint, say};
use crate::data::template::Template;
use crate::data::tokenizer::Tokenizer;
use crate::error::{Context, Error, Kind, Result};
use crate::model::companions::{copy_files, is_companion};
use crate::model::config::{Layout, processor};
use crate::model::export::Export;
use crate::model::{Storage, Vlm};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What to write, where and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A checkpoint's folder, or a key of the store: `policy-…`
    checkpoint: PathBuf,
    /// The folder to make
    out: PathBuf,
    /// InternVL's own (original) or transformers' (native) [default: the checkpoint's]
    #[arg(short, long, value_parser = layout)]
    layout: Option<Layout>,
    /// fp32, bf16 or fp16 [default: as in the files]
    #[arg(long, value_name = "NAME", value_parser = dtype)]
    dtype: Option<tch::Kind>,
    /// Chat template for config.json [default: the checkpoint's, or what its tokenizer tells]
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Copy tokenizer, code and licence from this checkpoint too
    #[arg(long, value_name = "DIR")]
    like: Option<PathBuf>,
    /// Where artifacts are kept
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
}

fn layout(word: &str) -> Result<Layout, String> {
    match word {
        "original" => Ok(Layout::Original),
        "native" => Ok(Layout::Native),
        _ => Err("there are original and native".into()),
    }
}

fn dtype(word: &str) -> Result<tch::Kind, String> {
    match word {
        "fp32" => Ok(tch::Kind::Float),
        "bf16" => Ok(tch::Kind::BFloat16),
        "fp16" => Ok(tch::Kind::Half),
        _ => Err("there are fp32, bf16 and fp16".into()),
    }
}

/// Writes the folder, and says what it holds.
///
/// # Errors
///
/// If there is no such model, a layout that cannot say what it is, or a disk that refuses.
pub fn run(args: &Args) -> Result<()> {
    let files = write(args).map_err(|error| error.kind(Kind::Spec))?;
    say(&format!("{}: {}\n", args.out.display(), files.join(", ")));
    Ok(())
}

/// The template that config.json is to name, where it does not: transformers' layout names none.
fn template(args: &Args, model: &Vlm, from: &Path, layout: Layout) -> Result<Option<String>> {
    if let Some(name) = &args.template {
        return Ok(Some(Template::named(name)?.name.to_owned()));
    }
    if layout == Layout::Native || model.config.template.is_some() {
        return Ok(None);
    }
    let folders = [Some(from), args.like.as_deref()];
    let mut tokenizers =
        folders.into_iter().flatten().filter_map(|folder| Tokenizer::load(folder).ok());
    let fitting = tokenizers.find_map(|tokenizer| Template::fitting(&tokenizer).ok());
    Ok(fitting.map(|template| template.name.to_owned()))
}

/// The names of the files that were written, sorted.
fn write(args: &Args) -> Result<Vec<String>> {
    let from = checkpoint::folder(&args.checkpoint, &args.store)?;
    let out = &args.out;
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::spec(format!("`{}` holds files already", out.display()))
            .hint("name a folder that is empty or not there"));
    }
    let mut model = Vlm::load_as(&from, tch::Device::Cpu, Storage::AsStored)?;
    let layout = args.layout.unwrap_or(model.config.layout);
    if let Some(name) = template(args, &model, &from, layout)? {
        model.config = model.config.with_template(&name);
    }
    let doing = || format!("writing `{}`", out.display());
    // Whole or not at all: the folder gets its name last.
    let above = out.parent().filter(|above| *above != Path::new("")).unwrap_or(Path::new("."));
    std::fs::create_dir_all(above).with_context(doing)?;
    let mut new = tempfile::Builder::new();
    new.prefix(".export-").permissions(std::fs::Permissions::from_mode(0o777)); // less the umask
    let new = new.tempdir_in(above).with_context(doing)?;
    let how = Export { layout, kind: args.dtype, shard_bytes: Export::SHARD_BYTES };
    model.export(new.path(), how)?;
    if layout == Layout::Native {
        processor::write(&model.config, new.path())?;
    }
    // The original layout's code is no part of the other, and each has an image processor of its own.
    let is_original = layout == Layout::Original;
    let stays = layout == model.config.layout;
    let like = args.like.as_deref().map(|folder| (folder, is_original));
    for (folder, has_processor) in like.into_iter().chain([(from.as_path(), stays)]) {
        copy_files(folder, new.path(), |name| {
            is_companion(name)
                && (is_original || !name.ends_with(".py"))
                && (has_processor || !processor::is_processor(name))
        })?;
    }
    let entries = std::fs::read_dir(new.path()).with_context(doing)?.flatten();
    let mut files: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    files.sort();
    let _ = std::fs::remove_dir(out);
    std::fs::rename(new.keep(), out).with_context(doing)?;
    Ok(files)
}
