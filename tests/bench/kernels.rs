//! Each kernel beside the plain tch code it equals, forward and backward, at the
//! shapes of W1, bf16 and f32, allocator tuned for both.

use prefab::kernel::{attention, decode, gelu, linear_logp, norm::Norm, packed, rope, swiglu};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

const TOKENS: i64 = 5632;

/// Times every kernel and prints a table.
pub fn run() {
    prefab::run::machine::tune_allocator();
    println!(
        "{:32}{:>10}{:>10}{:>8}",
        "milliseconds, forward + backward", "plain", "kernel", "ratio"
    );
    for kind in [Kind::BFloat16, Kind::Float] {
        println!("{kind:?}");
        let rows = |width: i64| random(&[TOKENS, width]).to_kind(kind);
        let gain = Tensor::ones([256], (Kind::Float, Device::Cpu));
        let rms = Norm { gain: &gain, bias: None, centered: false, epsilon: 1e-6 };
        let layer = Norm { gain: &gain, bias: Some(&gain), centered: true, epsilon: 1e-6 };
        let x = random(&[TOKENS, 256]);
        line("RMS norm", &[&x], &|i| rms.plain(&i[0], kind), &|i| rms.forward(&i[0], kind));
        line("layer norm", &[&x], &|i| layer.plain(&i[0], kind), &|i| layer.forward(&i[0], kind));
        let both = |(sum, normed): (Tensor, Tensor)| sum + normed;
        line(
            "residual sum + RMS norm",
            &[&x, &rows(256)],
            &|i| both(rms.add_plain(&i[0], &i[1], None, kind)),
            &|i| both(rms.add_forward(&i[0], &i[1], None, kind)),
        );
        line(
            "residual sum, scaled + norm",
            &[&x, &rows(256), &gain],
            &|i| both(layer.add_plain(&i[0], &i[1], Some(&i[2]), kind)),
            &|i| both(layer.add_forward(&i[0], &i[1], Some(&i[2]), kind)),
        );
        line("SwiGLU", &[&rows(2048)], &|i| swiglu::plain(&i[0]), &|i| swiglu::swiglu(&i[0]));
        line("GELU", &[&rows(1024)], &|i| gelu::plain(&i[0]), &|i| gelu::gelu(&i[0]));
        let (cos, sin) = (random(&[TOKENS, 32]), random(&[TOKENS, 32]));
        let heads = rows(512).view([TOKENS, 8, 64]);
        line("RoPE", &[&heads], &|i| rope::plain(&i[0], &cos, &sin), &|i| {
            rope::rope(&i[0], &cos, &sin)
        });
        let targets = Tensor::randint(512, [TOKENS], (Kind::Int64, Device::Cpu));
        for vocabulary in [512, 8192] {
            line(
                &format!("head → log-probability, {vocabulary}"),
                &[&rows(256), &random(&[vocabulary, 256]).to_kind(kind)],
                &|i| linear_logp::plain(&i[0], &i[1], &targets),
                &|i| linear_logp::linear_logp(&i[0], &i[1], &targets),
            );
        }
        attentions(kind);
        decoding(kind);
    }
    products();
}

/// Ragged attention beside sdpa over the same groups: padded, with a mask.
fn attentions(kind: Kind) {
    let answers: Vec<[usize; 2]> =
        (0..32).map(|i| [49 + 7 * i % 21, 49 + (11 * i + 3) % 21]).collect();
    let layout = attention::Layout::shared_prompt(answers.iter().map(|a| (58, a.as_slice())));
    let heads = attention::Heads { queries: 4, keys: 4, grouped: false };
    let qkv = random(&[layout.tokens() as i64, 12, 64]).to_kind(kind);
    let length = answers.iter().map(|a| 58 + a[0] + a[1]).max().expect("there are groups") as i64;
    let mask = Tensor::zeros([32, 1, length, length], (kind, Device::Cpu));
    let padded = random(&[32, length, 12, 64]).to_kind(kind);
    let sdpa = |x: &Tensor, mask: Option<&Tensor>| {
        let part = |at: i64| x.narrow(2, at, 4).transpose(1, 2);
        Tensor::scaled_dot_product_attention(
            &part(0),
            &part(4),
            &part(8),
            mask,
            0.0,
            false,
            None,
            false,
        )
    };
    let plain = time(&[&padded], &|i| sdpa(&i[0], Some(&mask)));
    let kernel = time(&[&qkv], &|i| attention::attention(&i[0], heads, None, &layout, 0.125));
    report("attention, shared prompts", plain, kernel);
    let images = attention::Layout::bidirectional(32, 65);
    let qkv = random(&[32 * 65, 12, 32]).to_kind(kind);
    let plain = time(&[&qkv.view([32, 65, 12, 32])], &|i| sdpa(&i[0], None));
    let kernel = time(&[&qkv], &|i| attention::attention(&i[0], heads, None, &images, 0.2));
    report("attention, images", plain, kernel);
}

/// A token each for eight rows of 64 prompts, the sixteenth of its row.
fn decoding(kind: Kind) {
    let (rows, head) = (512, 32);
    let heads = attention::Heads { queries: 4, keys: 4, grouped: false };
    let prompt = |_| random(&[64, 41, 4, head]).to_kind(kind);
    let mut cache = decode::Cache::new([0, 1].map(prompt), rows as usize);
    cache.grow(decode::STRIDE);
    let prompts = vec![decode::Prompt { length: 41, rows: 8 }; 64];
    let sharing = decode::Sharing::new(prompts, Device::Cpu);
    let qkv = random(&[rows, 12, head]).to_kind(kind);
    let (cos, sin) = (random(&[rows, head / 2]), random(&[rows, head / 2]));
    // Its past is written first: what nobody wrote may be anything.
    for written in 0..decode::STRIDE {
        let _ = decode::decode(&qkv, heads, (&cos, &sin), &mut cache, &sharing, written);
    }
    let mut best = |way: Way| {
        let times = (0..20).map(|_| {
            let start = Instant::now();
            let _ = way(&qkv, heads, (&cos, &sin), &mut cache, &sharing, decode::STRIDE - 1);
            start.elapsed().as_secs_f64()
        });
        times.fold(f64::INFINITY, f64::min)
    };
    report("decoding, shared prompts", best(decode::plain), best(decode::decode));
}

/// One product of a decoding step, of 64 rows, without a gradient.
fn products() {
    let (x, weight) = (random(&[64, 128]), random(&[384, 128]));
    let packed = packed::Packed::new(&weight, None).expect("it fits");
    // As many as take milliseconds.
    let best = |product: &dyn Fn() -> Tensor| {
        let times = (0..20).map(|_| {
            let start = Instant::now();
            for _ in 0..100 {
                let _ = product();
            }
            start.elapsed().as_secs_f64()
        });
        times.fold(f64::INFINITY, f64::min)
    };
    let plain = || x.linear(&weight, None::<&Tensor>);
    report("a hundred products, packed", best(&plain), best(&|| packed.forward(&x)));
}

type Way = fn(
    &Tensor,
    attention::Heads,
    (&Tensor, &Tensor),
    &mut decode::Cache,
    &decode::Sharing,
    i64,
) -> Tensor;
type Code<'a> = &'a dyn Fn(&[Tensor]) -> Tensor;

fn line(name: &str, inputs: &[&Tensor], plain: Code, kernel: Code) {
    report(name, time(inputs, plain), time(inputs, kernel));
}

fn report(name: &str, plain: f64, kernel: f64) {
    println!("  {name:30}{:10.2}{:10.2}{:8.1}", 1e3 * plain, 1e3 * kernel, plain / kernel);
}

/// The quickest of several runs, in seconds.
fn time(inputs: &[&Tensor], code: Code) -> f64 {
    let leaves: Vec<Tensor> =
        inputs.iter().map(|input| input.detach().copy().set_requires_grad(true)).collect();
    let once = || {
        let start = Instant::now();
        let out = code(&leaves);
        // The sum's gradient is one number, expanded: nearly free.
        Tensor::run_backward(&[out.sum(out.kind())], &leaves, false, false);
        start.elapsed().as_secs_f64()
    };
    (0..6).map(|_| once()).fold(f64::INFINITY, f64::min)
}

fn random(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}
