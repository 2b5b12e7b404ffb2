//! The first lesson of the base: a vision tower taught what stands where.
//!
//! From answers alone a tower of this size learns nothing in minutes; from one
//! class a cell it sees in hundreds of steps. That stands in for the
//! pre-training of InternViT. The linear heads are thrown away afterwards.

use super::lesson::{Lesson, Taught};
use super::order::Order;
use crate::data::image::View;
use crate::data::record::Question;
use crate::model::{Pictures, Vlm};
use crate::spec::base::Base;
use crate::spec::model::Module;
use crate::stage::StageContext;
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// Weight of a layer's empty cells, all together, beside the occupied ones: most cells are empty,
/// in the layers of few families nearly all.
const EMPTY_WEIGHT: f64 = 0.25;

/// Dense labels of some pictures.
#[derive(Debug)]
pub struct Labels {
    /// `[pictures, layers, cells]`, class numbers; 0 is empty.
    classes: Tensor,
    /// Number of classes of each layer.
    sizes: Vec<i64>,
}

impl Labels {
    /// The labels of the questions' pictures; none where a question has none.
    ///
    /// # Errors
    ///
    /// If questions disagree in layers or cells.
    pub fn of(questions: &[Question], image_tokens: usize) -> Result<Option<Self>> {
        let mut flat: Vec<i64> = Vec::new();
        let mut sizes: Vec<i64> = Vec::new();
        for question in questions {
            let Some(generated) = &question.generated else { return Ok(None) };
            if generated.cells.is_empty() {
                return Ok(None);
            }
            sizes.resize(sizes.len().max(generated.cells.len()), 1);
            for (size, layer) in sizes.iter_mut().zip(&generated.cells) {
                if layer.len() != image_tokens {
                    return Err(Error::new(format!(
                        "question `{}` labels {} cells, the model has {image_tokens} image tokens",
                        question.id,
                        layer.len()
                    ))
                    .hint("choose image and patch sides that give one token a cell"));
                }
                let top = layer.iter().copied().max().unwrap_or(0);
                *size = (*size).max(i64::from(top) + 1);
                flat.extend(layer.iter().map(|&class| i64::from(class)));
            }
        }
        let (layers, cells) = (sizes.len() as i64, image_tokens as i64);
        if questions.is_empty() || flat.len() as i64 != questions.len() as i64 * layers * cells {
            return Err(Error::new("the base split's pictures differ in their label layers"));
        }
        let classes = Tensor::from_slice(&flat).view([-1, layers, cells]);
        Ok(Some(Self { classes, sizes }))
    }
}

/// Teaches the vision tower; returns the rows of base_steps.csv.
///
/// # Errors
///
/// If a picture cannot be read, or what a guard stops for.
pub fn teach(
    base: &Base,
    model: &Vlm,
    questions: &[Question],
    labels: &Labels,
    pictures: &Pictures,
    ctx: &StageContext,
) -> Result<String> {
    model.set_trainable(&[Module::Vision]);
    let width = model.config.feature_width() as i64;
    let names: Vec<String> = (0..labels.sizes.len()).map(|layer| format!("head.{layer}")).collect();
    let heads: Vec<Tensor> = labels
        .sizes
        .iter()
        .map(|&classes| {
            let zeros = Tensor::zeros([classes, width], (Kind::Float, ctx.device));
            zeros.set_requires_grad(true)
        })
        .collect();
    let mut parameters = model.parameters();
    parameters.extend(names.iter().map(String::as_str).zip(&heads));

    let mut order = Order::new("base vision order", base.seed, questions.len(), base.vision_batch);
    let lesson = Lesson {
        name: "vision",
        parameters,
        steps: base.vision_steps,
        learning_rate: base.vision_learning_rate.get(),
        ctx,
    };
    lesson.teach(|step| {
        let rows = order.rows_of(step);
        let views: Vec<View> =
            rows.iter().map(|&row| View::one(&questions[row].images[0])).collect();
        let features = pictures.features(model, &views.iter().collect::<Vec<_>>())?; // [pictures, cells, 4·width]
        let at: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let classes = labels.classes.index_select(0, &Tensor::from_slice(&at));
        Ok(loss(&features, &classes.to_device(ctx.device), &heads))
    })
}

/// Cross-entropy of every layer's cells, summed over layers, and the share of
/// occupied cells that are right.
///
/// # Shapes
///
/// features `[pictures, cells, 4·vision_width]`, classes `[pictures, layers, cells]`.
fn loss(features: &Tensor, classes: &Tensor, heads: &[Tensor]) -> Taught {
    let features = features.flatten(0, 1); // [pictures·cells, 4·width]
    let mut accuracy = Vec::new();
    let losses: Vec<Tensor> = heads
        .iter()
        .enumerate()
        .map(|(layer, head)| {
            let classes = classes.select(1, layer as i64).flatten(0, 1); // [pictures·cells]
            let is_occupied = classes.gt(0).to_kind(Kind::Float);
            let logits = features.linear(head, None::<&Tensor>); // [pictures·cells, classes]
            let right = logits.argmax(-1, false).eq_tensor(&classes).to_kind(Kind::Float);
            let occupied = is_occupied.sum(Kind::Float).clamp_min(1.0);
            let share = (right * &is_occupied).sum(Kind::Float) / occupied;
            accuracy.push(share.double_value(&[]));
            let each = logits.log_softmax(-1, Kind::Float);
            let each = -each.gather(-1, &classes.unsqueeze(-1), false).squeeze_dim(-1);
            let is_empty = 1.0 - &is_occupied;
            let mean =
                |of: &Tensor| (&each * of).sum(Kind::Float) / of.sum(Kind::Float).clamp_min(1.0);
            (mean(&is_occupied) + EMPTY_WEIGHT * mean(&is_empty)) / (1.0 + EMPTY_WEIGHT)
        })
        .collect();
    Taught { loss: Tensor::stack(&losses, 0).sum(Kind::Float), accuracy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::Generated;
    use tch::Device;

    fn question(cells: Vec<Vec<u16>>) -> Question {
        let generated = Some(Generated { cells, ..Generated::default() });
        Question { id: "q".into(), generated, ..Question::default() }
    }

    #[test]
    fn labels_count_their_classes_and_may_be_absent() {
        let questions =
            [question(vec![vec![0, 3], vec![1, 0]]), question(vec![vec![5, 0], vec![0, 0]])];
        let labels = Labels::of(&questions, 2).unwrap().unwrap();
        assert_eq!(labels.sizes, [6, 2]);
        assert_eq!(labels.classes.size(), [2, 2, 2]);
        assert!(Labels::of(&[Question::default()], 2).unwrap().is_none());
        assert!(Labels::of(&questions, 3).unwrap_err().to_string().contains("`q`"));
    }

    #[test]
    fn zero_heads_guess_and_occupied_cells_alone_count() {
        // One picture of two cells, one layer of four classes: zero heads give ln 4 and class 0.
        let features = Tensor::ones([1, 2, 3], (Kind::Float, Device::Cpu));
        let classes = Tensor::from_slice(&[0_i64, 2]).view([1, 1, 2]);
        let head = Tensor::zeros([4, 3], (Kind::Float, Device::Cpu));
        let taught = loss(&features, &classes, &[head]);
        assert!((taught.loss.double_value(&[]) - 4.0_f64.ln()).abs() < 1e-6);
        assert_eq!(taught.accuracy, [0.0]);
    }
}
