//! One function per operation, in plain tch: the places where a fused kernel goes in.
//!
//! Matrix products run in the kind that their caller names (`Kind::Float` or
//! `Kind::BFloat16`); norms, softmax and log-softmax are f32 whatever that is.

use tch::{Kind, Tensor};

/// `x · weightᵀ + bias` in `kind`; operands of another kind are cast.
///
/// # Shapes
///
/// x `[…, in]`, weight `[out, in]`, bias `[out]` → `[…, out]` of `kind`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, kind: Kind) -> Tensor {
    let bias = bias.map(|bias| bias.to_kind(kind));
    x.to_kind(kind).linear(&weight.to_kind(kind), bias.as_ref())
}

/// Root mean square norm in f32, given back in `kind`.
///
/// # Formula
///
/// ```text
/// y = x / √(mean(x²) + eps) · weight
/// ```
///
/// # Shapes
///
/// x `[…, width]`, weight `[width]` → `[…, width]` of `kind`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64, kind: Kind) -> Tensor {
    let x = x.to_kind(Kind::Float);
    let mean_square = (&x * &x).mean_dim([-1i64].as_slice(), true, Kind::Float);
    ((mean_square + eps).rsqrt() * x * weight).to_kind(kind)
}

/// Layer norm in f32, given back in `kind`.
///
/// # Shapes
///
/// x `[…, width]`, weight and bias `[width]` → `[…, width]` of `kind`.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64, kind: Kind) -> Tensor {
    let width = *x.size().last().expect("a norm has an axis to work on");
    x.to_kind(Kind::Float).layer_norm([width], Some(weight), Some(bias), eps, true).to_kind(kind)
}

/// The exact (erf) GELU of InternViT and of the projector.
pub fn gelu(x: &Tensor) -> Tensor {
    x.gelu("none")
}

/// `silu(gate) · up`.
///
/// # Shapes
///
/// gate_up `[tokens, 2·mlp]`, gate first → `[tokens, mlp]`.
pub fn swiglu(gate_up: &Tensor) -> Tensor {
    let halves = gate_up.chunk(2, -1);
    halves[0].silu() * &halves[1]
}

/// Turns each head by its position's angles (rotate-half form), in f32, given back
/// in the kind of x.
///
/// # Formula
///
/// ```text
/// y = x · cos + roll(x, head/2) · sin      sin's first half is negated
/// ```
///
/// # Shapes
///
/// x `[tokens, heads, head]`, cos and sin `[tokens, 1, head]` → `[tokens, heads, head]`.
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Tensor {
    let head = *x.size().last().expect("x has a head axis");
    let rolled = x.roll([head / 2], [-1]);
    (x * cos).addcmul(&rolled, sin).to_kind(x.kind())
}

/// What a query may look at.
#[derive(Debug)]
pub enum Visible {
    /// Everything.
    All,
    /// Itself and what is before it.
    Past,
    /// Where this is 0; elsewhere it is −∞. `[groups, 1, seq, seq]`.
    Where(Tensor),
}

/// Scaled dot-product attention, softmax in f32.
///
/// # Shapes
///
/// q `[groups, heads, seq, head]`, k and v `[groups, kv_heads, seq, head]` →
/// `[groups, heads, seq, head]`.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, visible: &Visible) -> Tensor {
    let (heads, kv_heads) = (q.size()[1], k.size()[1]);
    let (k, v) = (repeat_heads(k, heads / kv_heads), repeat_heads(v, heads / kv_heads));
    let (mask, causal) = match visible {
        Visible::All => (None, false),
        Visible::Past => (None, true),
        Visible::Where(mask) => (Some(mask), false),
    };
    Tensor::scaled_dot_product_attention(q, &k, &v, mask, 0.0, causal, None::<f64>, false)
}

/// `[groups, kv_heads, seq, head]` → `[groups, kv_heads·times, seq, head]`, each head
/// `times` in a row.
fn repeat_heads(x: &Tensor, times: i64) -> Tensor {
    if times == 1 {
        return x.shallow_clone();
    }
    let (groups, kv_heads, seq, head) = x.size4().expect("keys and values have four axes");
    x.unsqueeze(2).expand([groups, kv_heads, times, seq, head], false).reshape([
        groups,
        kv_heads * times,
        seq,
        head,
    ])
}

/// Log-probability of each target under a softmax over `hidden · weightᵀ`.
///
/// # Formula
///
/// ```text
/// logp = z[target] − log Σ exp z,   z = weight · hidden
/// ```
///
/// # Shapes
///
/// hidden `[predictions, width]`, weight `[vocabulary, width]`, targets
/// `[predictions]` (i64) → `[predictions]` f32.
pub fn linear_logp(hidden: &Tensor, weight: &Tensor, targets: &Tensor, kind: Kind) -> Tensor {
    let logits = linear(hidden, weight, None, kind);
    logits.log_softmax(-1, Kind::Float).gather(1, &targets.unsqueeze(1), false).squeeze_dim(1)
}
