//! Tokens and image features as one flat row of embeddings.

use super::vlm::{Prompt, Vlm};
use crate::spec::train::Precision;
use crate::{Error, Result};
use tch::Tensor;

impl Vlm {
    /// Embeddings of a flat row of tokens: each prompt, image features in their places,
    /// then its branches. In a branch `<IMG_CONTEXT>` is a token like any other.
    ///
    /// # Shapes
    ///
    /// → `[tokens, width]` f32.
    pub(crate) fn embed(
        &self,
        prompts: &[Prompt],
        features: &Tensor,
        precision: Precision,
    ) -> Result<Tensor> {
        // Runs of text and of image tokens, in order; the ids of all text.
        let (mut runs, mut text, mut tiles) = (Vec::new(), Vec::new(), Vec::new());
        for (index, prompt) in prompts.iter().enumerate() {
            self.check_prompt(index, prompt, features)?;
            tiles.extend(prompt.tiles.clone().map(|row| row as i64));
            let is_image = |id: &i64| *id == self.config.image_token;
            for run in prompt.ids.chunk_by(|a, b| is_image(a) == is_image(b)) {
                runs.push((is_image(&run[0]), run.len() as i64));
                text.extend(run.iter().filter(|id| !is_image(id)));
            }
            if !prompt.branches.is_empty() {
                runs.push((false, prompt.branches.len() as i64));
                text.extend_from_slice(&prompt.branches);
            }
        }
        let text = Tensor::from_slice(&text).to_device(self.device);
        let text = self.decoder().embed(&text);
        if tiles.is_empty() {
            return Ok(text);
        }
        let rows = match tiles.iter().copied().eq(0..features.size()[0]) {
            true => features.to_device(self.device),
            false => {
                let tiles = Tensor::from_slice(&tiles).to_device(features.device());
                features.index_select(0, &tiles).to_device(self.device)
            }
        };
        let images = self.project(&rows, precision).flatten(0, 1); // [image tokens of all, width]
        let split = |x: Tensor, image: bool| {
            let of_kind = runs.iter().filter(|run| run.0 == image).map(|run| run.1);
            x.split_with_sizes(of_kind.collect::<Vec<i64>>().as_slice(), 0).into_iter()
        };
        let (mut text, mut images) = (split(text, false), split(images, true));
        let pieces: Vec<Tensor> = runs
            .iter()
            .map(|(image, _)| if *image { images.next() } else { text.next() })
            .map(|piece| piece.expect("there is a piece for each run"))
            .collect();
        Ok(Tensor::cat(&pieces, 0))
    }

    /// Refuses a prompt that does not fit its tiles, the vocabulary or the features.
    fn check_prompt(&self, index: usize, prompt: &Prompt, features: &Tensor) -> Result<()> {
        if prompt.ids.is_empty() {
            return Err(Error::new(format!("group {index} has an empty prompt")));
        }
        let found = prompt.ids.iter().filter(|&&id| id == self.config.image_token).count();
        let wanted = prompt.tiles.len() * self.config.image_tokens;
        if found != wanted {
            let tiles = prompt.tiles.len();
            return Err(Error::new(format!(
                "group {index} has {found} image tokens in its prompt where its {tiles} tiles give {wanted}"
            ))
            .hint("a prompt cut short, or a template made for another number of image tokens a tile"));
        }
        let vocabulary = 0..self.config.language.vocabulary as i64;
        if let Some(id) =
            prompt.ids.iter().chain(&prompt.branches).find(|id| !vocabulary.contains(id))
        {
            return Err(Error::new(format!(
                "group {index} has token {id}, beyond the vocabulary of {}",
                vocabulary.end
            )));
        }
        let rows = features.size()[0];
        if prompt.tiles.end as i64 > rows && !prompt.tiles.is_empty() {
            return Err(Error::new(format!(
                "group {index} wants image features up to row {} of {rows}",
                prompt.tiles.end
            )));
        }
        Ok(())
    }
}
