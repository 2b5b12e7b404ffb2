//! Replies on disk, by all that decides them: server, model, prompt with its pictures, settings.

use super::chat::{Chat, Reply};
use crate::Result;
use crate::error::Context;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of replies.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens the folder, making it where there is none.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder as it is, for looking only.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn path(&self, url: &str, body: &str) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        hasher.update(url.as_bytes()).update(&[0]).update(body.as_bytes());
        let name = hasher.finalize().to_hex().to_string();
        self.folder.join(&name[..2]).join(format!("{name}.json"))
    }

    /// The reply to the same request, if there was one.
    pub fn find(&self, url: &str, body: &str) -> Option<Reply> {
        let path = self.path(url, body);
        let text = fs::read_to_string(&path).ok()?;
        let kept: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let reply = serde_json::from_value(kept["reply"].clone());
        if let Err(error) = &reply {
            tracing::warn!("`{}` is damaged, asking again: {error}", path.display());
        }
        reply.ok()
    }

    /// Keeps a reply. A disk that refuses costs the next run a request, and no more.
    pub fn keep(&self, url: &str, model: &str, chat: &Chat, body: &str, reply: &Reply) {
        let path = self.path(url, body);
        let kept = json!({ "url": url, "model": model, "text": chat.text(), "reply": reply });
        let write = || -> std::io::Result<()> {
            let folder = path.parent().expect("a reply lies in a folder");
            fs::create_dir_all(folder)?;
            let mut draft = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut draft, kept.to_string().as_bytes())?;
            draft.persist(&path)?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::warn!("`{}` could not be kept: {error}", path.display());
        }
    }
}
