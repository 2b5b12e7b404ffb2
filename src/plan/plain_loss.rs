//! One way of writing a `[loss]` table for all that mean the same, so that they share a policy.

use crate::loss::Mix;
use crate::spec::embedded;
use crate::spec::loss::Loss;
use crate::spec::number::{NonNegative, Positive};

/// The table with β written out, without what the algorithm's own defaults say anyway, and with
/// other algorithms' settings as they are by default.
pub(super) fn plain(loss: &Loss) -> Loss {
    let default = embedded().loss.as_ref().expect("the embedded defaults have a loss");
    let Loss { cdpo, robust_dpo, ipo, aot, tr_dpo, exo, discopop, .. } = *default;
    let mut plain = Loss { cdpo, robust_dpo, ipo, aot, tr_dpo, exo, discopop, ..loss.clone() };
    (loss.algorithm.row().copy_table)(loss, &mut plain);
    let own = loss.algorithm.row().weights;
    let unless = |weight: Option<NonNegative>, own: f64| weight.filter(|given| given.get() != own);
    plain.w_p = unless(loss.w_p, own.w_p);
    plain.w_q = unless(loss.w_q, own.w_q);
    plain.w_g = unless(loss.w_g, own.w_g);
    // What a spec's checks let pass can be resolved.
    let Ok(mix) = Mix::new(loss) else { return plain };
    plain.beta = Positive::try_from(mix.knobs.beta).ok();
    let same = |other: &Loss| Mix::new(other).is_ok_and(|other| other == mix);
    let bare = Loss { delta: None, ..plain.clone() };
    if same(&bare) {
        plain = bare;
    }
    let bare = Loss { generation: None, ..plain.clone() };
    if same(&bare) {
        plain = bare;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Loss {
        let point = crate::spec::parse("p", "p.toml", &format!("schema = 1\n[loss]\n{text}"), &[]);
        point.expect("a sound spec").points[0].settings.loss.clone().expect("a loss")
    }

    #[test]
    fn what_means_the_same_is_written_the_same() {
        for (one, other, same) in [
            ("algorithm = 'dpo'", "algorithm = 'dpo'\nw_p = 1.0\nw_g = 0.0", true),
            ("algorithm = 'dpo'", "algorithm = 'dpo'\nbeta = 0.1", true),
            ("algorithm = 'dpo'", "algorithm = 'dpo'\ncdpo = { label_smoothing = 0.3 }", true),
            (
                "algorithm = 'mpo'",
                "algorithm = 'mpo'\ndelta = 'running'\ngeneration = 'token'",
                true,
            ),
            ("algorithm = 'mpo'", "algorithm = 'mpo'\nas = 'trl'\ndelta = 'running'", false),
            ("algorithm = 'dpo'", "algorithm = 'dpo'\nbeta = 0.2", false),
            ("algorithm = 'dpo'", "algorithm = 'dpo'\nw_g = 1.0", false),
            ("algorithm = 'cdpo'", "algorithm = 'cdpo'\ncdpo = { label_smoothing = 0.3 }", false),
            ("algorithm = 'mpo'", "algorithm = 'mpo'\ndelta = 0.5", false),
        ] {
            assert_eq!(plain(&written(one)) == plain(&written(other)), same, "{one} | {other}");
        }
    }
}
