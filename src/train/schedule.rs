//! The learning rate of each step: a straight warm-up, then a cosine, a line
//! or nothing down to zero.

use crate::spec::train::{Schedule as Shape, Train};

/// Learning rate by step.
///
/// # Formula
///
/// ```text
/// w    = ⌈warmup · steps⌉
/// s < w:  peak · (s + 1) / w
/// s ≥ w:  peak · shape((s − w) / (steps − w)),   cosine: ½(1 + cos πx)   linear: 1 − x   constant: 1
/// ```
///
/// Steps count from 0. Unlike transformers' schedules the first step of a
/// warm-up is not spent at rate 0.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    shape: Shape,
    peak: f64,
    warmup_steps: usize,
    steps: usize,
}

impl Schedule {
    /// The schedule of a policy run of that many steps.
    pub fn of(train: &Train, steps: usize) -> Self {
        Self::new(train.schedule, train.learning_rate.get(), train.warmup.get(), steps)
    }

    /// Any other: `warmup` is a share of `steps`.
    pub fn new(shape: Shape, peak: f64, warmup: f64, steps: usize) -> Self {
        let warmup_steps = (warmup * steps as f64).ceil() as usize;
        Self { shape, peak, warmup_steps, steps }
    }

    /// The learning rate of step `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let decay_steps = (self.steps - self.warmup_steps.min(self.steps)).max(1);
        let progress = (step - self.warmup_steps) as f64 / decay_steps as f64;
        self.peak
            * match self.shape {
                Shape::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos()),
                Shape::Linear => 1.0 - progress.min(1.0),
                Shape::Constant => 1.0,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_to_the_peak_and_the_cosine_ends_near_zero() {
        let schedule = Schedule::new(Shape::Cosine, 1.0, 0.1, 100);
        assert_eq!(schedule.rate(0), 0.1);
        assert_eq!(schedule.rate(9), 1.0);
        assert_eq!(schedule.rate(10), 1.0);
        // Half of the 90 decay steps: cos(π/2) = 0.
        assert!((schedule.rate(55) - 0.5).abs() < 1e-12);
        assert!(schedule.rate(99) < 1e-3 && schedule.rate(99) > 0.0);
    }

    #[test]
    fn a_line_and_a_constant_need_no_warm_up() {
        let line = Schedule::new(Shape::Linear, 2.0, 0.0, 4);
        assert_eq!([0, 1, 2, 3].map(|step| line.rate(step)), [2.0, 1.5, 1.0, 0.5]);
        let constant = Schedule::new(Shape::Constant, 2.0, 0.5, 4);
        assert_eq!([0, 1, 2, 3].map(|step| constant.rate(step)), [1.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn a_run_that_only_warms_up_never_divides_by_zero() {
        let schedule = Schedule::new(Shape::Cosine, 1.0, 1.0, 1);
        assert_eq!(schedule.rate(0), 1.0);
        assert!(schedule.rate(1).is_finite());
    }
}
