//! AdamW over all parameters in one call, with state that can be saved.
//!
//! tch's optimizer makes a dozen passes over every parameter and cannot give its
//! moments away; this one makes one, 2 to 3.5 times as fast with a tuned allocator and
//! 7 to 10 times with the stock one, and a checkpoint holds all it knows.

use super::{call, is_float};
use prefab_kernels as ffi;
use std::borrow::Borrow;
use tch::{Kind, Tensor};

/// Numbers that are widened together where moments are narrow: a large embedding would take six
/// times its f32 size. A whole number of a kernel's lines, so that no element's arithmetic differs.
const PIECE: i64 = 1 << 20;

/// Settings of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the gradient mean.
    pub beta1: f64,
    /// Decay of the squared gradient mean.
    pub beta2: f64,
    /// Keeps the division finite.
    pub epsilon: f64,
    /// Decoupled decay: `p ← p · (1 − learning_rate · weight_decay)`.
    pub weight_decay: f64,
}

/// The moments of a list of parameters.
#[derive(Debug)]
pub struct AdamW {
    means: Vec<Tensor>,
    squares: Vec<Tensor>,
    steps: Vec<Tensor>,
    /// The f32 numbers behind a bf16 parameter.
    masters: Vec<Option<Tensor>>,
}

impl AdamW {
    /// Zero moments for these parameters, in this order.
    pub fn new<T: Borrow<Tensor>>(parameters: &[T]) -> AdamW {
        let masters = parameters.iter().map(|_| None).collect();
        Self::narrow(parameters, Kind::Float, masters)
    }

    /// The same with moments in f32 or bf16, and f32 masters for parameters that are bf16.
    pub fn narrow<T: Borrow<Tensor>>(
        parameters: &[T],
        moments: Kind,
        masters: Vec<Option<Tensor>>,
    ) -> AdamW {
        let _guard = tch::no_grad_guard();
        let zeros = || {
            let each = parameters.iter().map(|p| p.borrow().detach().zeros_like().to_kind(moments));
            each.collect()
        };
        let steps =
            parameters.iter().map(|p| Tensor::zeros([], (Kind::Float, p.borrow().device())));
        AdamW { means: zeros(), squares: zeros(), steps: steps.collect(), masters }
    }

    /// One step over `parameters` (as given to [`AdamW::new`]) with `gradients`, which
    /// are divided by `divisor` first (see [`super::clip::divisor`]). A parameter whose
    /// gradient is undefined stays as it is, its step uncounted.
    ///
    /// # Formula
    /// ```text
    /// g ← g / divisor;  p ← p · (1 − lr · decay)
    /// m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²
    /// p ← p − lr · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)
    /// ```
    ///
    /// # Source
    /// Loshchilov and Hutter 2017, [arXiv:1711.05101], algorithm 2.
    pub fn step<T: Borrow<Tensor>>(
        &mut self,
        parameters: &[T],
        gradients: &[Tensor],
        settings: &Settings,
        divisor: f64,
    ) {
        assert_eq!(parameters.len(), self.means.len(), "as many parameters as moments");
        assert_eq!(gradients.len(), self.means.len(), "as many gradients as moments");
        let _guard = tch::no_grad_guard();
        let with: Vec<usize> = (0..gradients.len()).filter(|&i| gradients[i].defined()).collect();
        if with.is_empty() {
            return;
        }
        for &i in &with {
            let _ = self.steps[i].g_add_scalar_(1.0);
        }
        if with.iter().any(|&i| self.is_narrow(i)) {
            for &i in &with {
                let parameter = parameters[i].borrow();
                self.step_narrow(i, parameter, &gradients[i], settings, (divisor, PIECE));
            }
            return;
        }
        // The fused kernel writes the divided gradients back, so they must be whole.
        let contiguous: Vec<Tensor> = with.iter().map(|&i| gradients[i].contiguous()).collect();
        // ATen has the fused step for the processor and for cards.
        if with.iter().all(|&i| is_float(&[parameters[i].borrow()])) {
            let pick = |list: &[Tensor]| with.iter().map(|&i| call::borrow(&list[i])).collect();
            let own: Vec<_> = with.iter().map(|&i| call::borrow(parameters[i].borrow())).collect();
            let gradients = call::borrow_all(&contiguous);
            let [means, squares, steps]: [Vec<_>; 3] =
                [pick(&self.means), pick(&self.squares), pick(&self.steps)];
            // SAFETY: five lists of `with.len()` borrowed tensors each; all outlive the call.
            call::check(unsafe {
                ffi::prefab_adamw(
                    own.as_ptr(),
                    gradients.as_ptr(),
                    means.as_ptr(),
                    squares.as_ptr(),
                    steps.as_ptr(),
                    with.len() as i64,
                    settings.learning_rate,
                    settings.beta1,
                    settings.beta2,
                    settings.weight_decay,
                    settings.epsilon,
                    divisor,
                )
            });
        } else {
            for (gradient, &i) in contiguous.iter().zip(&with) {
                self.plain(i, parameters[i].borrow(), gradient, settings, divisor);
            }
        }
    }

    fn is_narrow(&self, i: usize) -> bool {
        self.masters[i].is_some() || self.means[i].kind() != Kind::Float
    }

    /// One parameter's step in f32, `piece` numbers at a time, its moments rounded at random
    /// afterwards: bf16 has too few digits for a second moment that changes by a thousandth a
    /// step. Whatever the pieces are, an element's operations and draws are the same.
    fn step_narrow(
        &mut self,
        i: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        s: &Settings,
        (by, piece): (f64, i64),
    ) {
        let master = self.masters[i].as_ref().unwrap_or(parameter).detach().view([-1]);
        let flat = |tensor: &Tensor| tensor.contiguous().view([-1]);
        let (gradient, means, squares) =
            (flat(gradient), flat(&self.means[i]), flat(&self.squares[i]));
        let numbers = master.numel() as i64;
        let pieces = || (0..numbers).step_by(piece as usize);
        let part = |whole: &Tensor, at: i64| whole.narrow(0, at, piece.min(numbers - at));
        let stepped = |at: i64, parameter: &Tensor| {
            let wide = |whole: &Tensor| part(whole, at).to_kind(Kind::Float);
            let mut one = AdamW {
                means: vec![wide(&means)],
                squares: vec![wide(&squares)],
                steps: vec![&self.steps[i] - 1.0],
                masters: vec![None],
            };
            // The kernel divides in place, and the squares want the gradient once more.
            one.step(&[parameter], &[wide(&gradient).copy()], s, by);
            one
        };
        let is_rounded = means.kind() != Kind::Float;
        if is_rounded {
            // By step and place, so that a resumed run draws the same.
            let t = self.steps[i].double_value(&[]) as i64;
            tch::manual_seed(t * 1_000_003 + i as i64);
        }
        for at in pieces() {
            let one = stepped(at, &part(&master, at));
            if is_rounded {
                part(&means, at).copy_(&rounded_at_random(&one.means[0]));
            }
        }
        // All means are drawn for before the first square; a copy of the numbers takes the step.
        for at in pieces().filter(|_| is_rounded) {
            let one = stepped(at, &part(&master, at).copy());
            part(&squares, at).copy_(&rounded_at_random(&one.squares[0]));
        }
        if let Some(master) = &self.masters[i] {
            parameter.detach().copy_(master);
        }
    }

    /// One parameter's step as plain tch code.
    fn plain(&mut self, i: usize, parameter: &Tensor, gradient: &Tensor, s: &Settings, by: f64) {
        let gradient = gradient / by;
        let t = self.steps[i].double_value(&[]);
        let mut parameter = parameter.detach();
        let _ = parameter.g_mul_scalar_(1.0 - s.learning_rate * s.weight_decay);
        let (mean, square) = (&mut self.means[i], &mut self.squares[i]);
        let _ = mean.g_mul_scalar_(s.beta1).g_add_(&(&gradient * (1.0 - s.beta1)));
        let _ = square.g_mul_scalar_(s.beta2).g_add_(&(gradient.square() * (1.0 - s.beta2)));
        let root = (&*square / (1.0 - s.beta2.powf(t))).sqrt() + s.epsilon;
        let update = &*mean / (1.0 - s.beta1.powf(t)) / root;
        let _ = parameter.g_sub_(&(update * s.learning_rate));
    }

    /// The moments and step counts by name, to be written into a checkpoint: `mean.NAME`,
    /// `square.NAME` and `step.NAME` for each parameter's name, in order. Shared storage.
    pub fn state(&self, names: &[&str]) -> Vec<(String, Tensor)> {
        assert_eq!(names.len(), self.means.len(), "as many names as moments");
        let named = |kind: &str, list: &[Tensor]| -> Vec<(String, Tensor)> {
            let pairs = names.iter().zip(list);
            pairs.map(|(name, tensor)| (format!("{kind}.{name}"), tensor.shallow_clone())).collect()
        };
        let mut all = named("mean", &self.means);
        all.extend(named("square", &self.squares));
        all.extend(named("step", &self.steps));
        all
    }

    /// Takes back what [`AdamW::state`] gave: `fill` writes each tensor by its name, one after
    /// the other.
    ///
    /// # Errors
    /// What `fill` says.
    pub fn restore(
        &mut self,
        names: &[&str],
        fill: impl Fn(&str, &Tensor) -> crate::Result<()>,
    ) -> crate::Result<()> {
        let _guard = tch::no_grad_guard();
        self.state(names).iter().try_for_each(|(name, own)| fill(name, own))
    }
}

/// f32 numbers that bf16 holds: each rounded up or down with the chance that its mean
/// is right.
fn rounded_at_random(x: &Tensor) -> Tensor {
    let bits = x.contiguous().view_dtype(Kind::Int);
    // A bf16 is the upper half of an f32.
    let carried = &bits + bits.randint_like(1 << 16);
    carried.bitwise_and(-(1i64 << 16)).view_dtype(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::super::check::{close, random};
    use super::*;

    const SETTINGS: Settings =
        Settings { learning_rate: 0.02, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1 };

    fn parameters() -> Vec<Tensor> {
        vec![random(&[40, 30], 1), random(&[7], 2), random(&[5, 3, 2], 3)]
    }

    fn gradients(step: u64, parameters: &[Tensor]) -> Vec<Tensor> {
        let each = parameters.iter().enumerate();
        each.map(|(i, p)| random(&p.size(), 100 * step + i as u64)).collect()
    }

    #[test]
    fn fused_steps_equal_plain_ones() {
        let (fused, plain) = (parameters(), parameters());
        let (mut a, mut b) = (AdamW::new(&fused), AdamW::new(&plain));
        for step in 1..6 {
            let g = gradients(step, &fused);
            a.step(&fused, &g.iter().map(Tensor::copy).collect::<Vec<_>>(), &SETTINGS, 2.5);
            for (i, gradient) in g.iter().enumerate() {
                let _ = b.steps[i].g_add_scalar_(1.0);
                b.plain(i, &plain[i], gradient, &SETTINGS, 2.5);
            }
        }
        for (x, y) in fused.iter().zip(&plain) {
            close("parameter", x, y, 2e-6);
        }
    }

    #[test]
    fn a_restored_state_goes_on_to_the_same_bytes() {
        let names = ["a", "b", "c"];
        let first = parameters();
        let mut optimizer = AdamW::new(&first);
        optimizer.step(&first, &gradients(1, &first), &SETTINGS, 1.0);
        let copy: Vec<Tensor> = first.iter().map(Tensor::copy).collect();
        let saved: Vec<(String, Tensor)> =
            optimizer.state(&names).into_iter().map(|(name, t)| (name, t.copy())).collect();
        let mut resumed = AdamW::new(&copy);
        let fill = |name: &str, own: &Tensor| {
            let found = saved.iter().find(|(saved, _)| saved == name);
            let (_, tensor) = found.ok_or_else(|| crate::Error::new(name))?;
            own.shallow_clone().copy_(tensor);
            Ok(())
        };
        resumed.restore(&names, fill).unwrap();
        optimizer.step(&first, &gradients(2, &first), &SETTINGS, 1.0);
        resumed.step(&copy, &gradients(2, &copy), &SETTINGS, 1.0);
        for (x, y) in first.iter().zip(&copy) {
            assert!(x.equal(y));
        }
        assert!(resumed.restore(&["a", "b", "d"], fill).is_err());
    }

    #[test]
    fn rounding_at_random_is_right_in_the_mean() {
        let x = Tensor::from_slice(&[1.001f32, -3.017, 1e-9, 0.0]);
        tch::manual_seed(1);
        let draws: Vec<Tensor> = (0..4000).map(|_| rounded_at_random(&x)).collect();
        let one = &draws[0];
        assert!(one.equal(&one.to_kind(Kind::BFloat16).to_kind(Kind::Float)), "bf16 holds it");
        let mean = Tensor::stack(&draws, 0).mean_dim([0i64].as_slice(), false, Kind::Double);
        let off = ((mean - &x) / x.abs().clamp_min(1e-30)).abs().max().double_value(&[]);
        assert!(off < 3e-4, "{off}");
    }

    #[test]
    fn narrow_state_follows_the_wide_one() {
        let wide = parameters();
        let masters = parameters();
        let halves: Vec<Tensor> = masters.iter().map(|p| p.to_kind(Kind::BFloat16)).collect();
        let mut a = AdamW::new(&wide);
        let own = masters.iter().map(|p| Some(p.shallow_clone())).collect();
        let mut b = AdamW::narrow(&halves, Kind::BFloat16, own);
        for step in 1..40 {
            let g = gradients(step, &wide);
            let halved: Vec<Tensor> = g.iter().map(|g| g.to_kind(Kind::BFloat16)).collect();
            a.step(&wide, &g, &SETTINGS, 1.0);
            b.step(&halves, &halved, &SETTINGS, 1.0);
        }
        for ((wide, master), half) in wide.iter().zip(&masters).zip(&halves) {
            // 39 steps of at most 0.02 each; the moments' rounding moves a step by a hundredth.
            close("master", master, wide, 2e-2);
            assert!(half.equal(&master.to_kind(Kind::BFloat16)), "the copy follows its master");
        }
    }

    #[test]
    fn pieces_of_a_narrow_step_change_no_bit() {
        let run = |piece: i64, kind: Kind, with_master: bool| {
            let master = random(&[37, 29], 1);
            let own = if with_master { master.to_kind(Kind::BFloat16) } else { master.copy() };
            let masters = vec![with_master.then(|| master.shallow_clone())];
            let mut one = AdamW::narrow(&[&own], kind, masters);
            for step in 1..4 {
                let gradient = random(&[37, 29], 10 + step).to_kind(own.kind());
                let _ = one.steps[0].g_add_scalar_(1.0);
                one.step_narrow(0, &own, &gradient, &SETTINGS, (2.5, piece));
            }
            [own, master, one.means.remove(0), one.squares.remove(0)]
        };
        for (kind, with_master) in
            [(Kind::BFloat16, true), (Kind::BFloat16, false), (Kind::Float, true)]
        {
            let whole = run(1 << 20, kind, with_master);
            for piece in [64, 256] {
                for (a, b) in whole.iter().zip(run(piece, kind, with_master)) {
                    assert!(a.equal(&b), "{kind:?} in pieces of {piece}");
                }
            }
        }
    }

    #[test]
    fn a_parameter_without_gradient_stays() {
        let own = parameters();
        let before = own[1].copy();
        let mut optimizer = AdamW::new(&own);
        let mut g = gradients(1, &own);
        g[1] = Tensor::new();
        optimizer.step(&own, &g, &SETTINGS, 1.0);
        assert!(own[1].equal(&before));
        assert_eq!(optimizer.steps[1].double_value(&[]), 0.0);
        assert_eq!(optimizer.steps[0].double_value(&[]), 1.0);
    }
}
