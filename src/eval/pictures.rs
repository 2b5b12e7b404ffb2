//! What a policy sees of its questions: rows of cached features where the plan
//! gives them, else its own vision tower's.

use crate::Result;
use crate::data::record::Question;
use crate::model::Vlm;
use crate::model::features::{Features, of_pictures};
use crate::run::stage::StageContext;
use crate::spec::eval::Split;
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use tch::Tensor;

/// Where a split's features come from.
pub struct Pictures {
    cached: Option<Features>,
    corpus: PathBuf,
    split: Split,
}

/// The features of some questions, and which rows are whose.
#[derive(Debug)]
pub struct Seen {
    /// `[rows, image_tokens, 4·vision_width]`.
    pub features: Tensor,
    /// Rows of each question, in order.
    pub tiles: Vec<Range<usize>>,
}

impl Pictures {
    /// Those of a split: from the `features` input where the stage has one.
    ///
    /// # Errors
    ///
    /// A features artifact that cannot be read.
    pub fn open(ctx: &StageContext, split: Split) -> Result<Self> {
        let cached = ctx.inputs.get("features").map(|folder| Features::open(folder)).transpose()?;
        Ok(Self { cached, corpus: ctx.input("corpus").to_path_buf(), split })
    }

    /// Those of benchmarks' files.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn of_files(ctx: &StageContext) -> Result<Self> {
        let cached = ctx.inputs.get("benchmark_features");
        let cached = cached.map(|folder| Features::open(folder)).transpose()?;
        let corpus = ctx.input("benchmarks").to_path_buf();
        Ok(Self { cached, corpus, split: Split::Test })
    }

    /// The features of some questions.
    ///
    /// # Errors
    ///
    /// A picture that has no features or cannot be read.
    pub fn of<'a>(
        &self,
        model: &Vlm,
        questions: impl IntoIterator<Item = &'a Question>,
    ) -> Result<Seen> {
        let mut paths: Vec<&str> = Vec::new();
        let mut tiles = Vec::new();
        let mut first: HashMap<&[String], usize> = HashMap::new();
        for Question { images, .. } in questions {
            // A question's pictures lie side by side; questions about the same ones share them.
            let start = *first.entry(images.as_slice()).or_insert_with(|| {
                paths.extend(images.iter().map(String::as_str));
                paths.len() - images.len()
            });
            tiles.push(start..start + images.len());
        }
        let features = of_pictures(self.cached.as_ref(), model, &self.corpus, self.split, &paths)?;
        Ok(Seen { features, tiles })
    }
}
