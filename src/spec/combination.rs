//! Combinations that cannot be run, or in which one setting hides another:
//! variants, rounds and sweeps against each other.

use super::draft::Draft;
use super::layer::{lookup, segments};
use super::mistake::Mistake;
use super::root::{ReferenceOf, RoundTable};
use super::source::Place;

impl Draft {
    /// Settings that another layer always replaces, and other impossible combinations.
    pub(super) fn check_combinations(&mut self) {
        let mut found = self.swept_in_a_variant_that_sets_it();
        found.extend(self.swept_and_set());
        found.extend(self.weights_of_every_algorithm());
        for rounds in self.rounds_of_all() {
            found.extend(self.rounds_that_cannot_be(rounds));
        }
        found.into_iter().for_each(|mistake| self.mistakes.push(mistake));
    }

    /// The rounds at the top, and each variant's own.
    fn rounds_of_all(&self) -> impl Iterator<Item = &Vec<RoundTable>> {
        let own = self.variants.iter().map(|variant| &variant.rounds);
        std::iter::once(&self.rounds).chain(own)
    }

    fn swept_in_a_variant_that_sets_it(&self) -> Vec<Mistake> {
        let mut found = Vec::new();
        for variant in &self.variants {
            let own = variant.axes.iter().flat_map(|axis| &axis.steps[0]);
            found.extend(own.filter_map(|set| {
                let path = segments(&set.key);
                lookup(&variant.layer.table, &path)?;
                Some(Mistake {
                    message: format!("variant `{}` sets `{}` and sweeps it", variant.name, set.key),
                    hint: "leave one of the two".to_owned(),
                    source: 1,
                    span: variant.layer.span(&self.sources, &path, Place::Key),
                })
            }));
        }
        found
    }

    fn swept_and_set(&self) -> Vec<Mistake> {
        let over = self.variants.iter().map(|v| (&v.layer, format!("variant `{}`", v.name)));
        let rounds = self.rounds_of_all().flatten().map(|r| (&r.layer, r.layer.name.clone()));
        let sets = self.base[2..].iter().map(|layer| (layer, "`--set`".to_owned()));
        let mut found = Vec::new();
        for (layer, who) in over.chain(rounds).chain(sets) {
            for set in self.axes.iter().flat_map(|axis| &axis.steps[0]) {
                let path = segments(&set.key);
                if lookup(&layer.table, &path).is_some() {
                    found.push(Mistake {
                        message: format!("{who} sets `{}`, which is swept too", set.key),
                        hint: "take it out here, or out of the sweep: one would hide the other"
                            .to_owned(),
                        source: layer.source,
                        span: layer.span(&self.sources, &path, Place::Key),
                    });
                }
            }
        }
        found
    }

    fn weights_of_every_algorithm(&self) -> Vec<Mistake> {
        if !self.swept_keys().iter().any(|key| key == "loss.algorithm") {
            return Vec::new();
        }
        let mut found = Vec::new();
        for layer in &self.base[1..] {
            for weight in ["w_p", "w_q", "w_g"] {
                let path = ["loss".to_owned(), weight.to_owned()];
                if lookup(&layer.table, &path).is_some() {
                    found.push(Mistake {
                        message: format!(
                            "`loss.{weight}` at the top beside a sweep of `loss.algorithm` \
                             would replace every algorithm's own weight"
                        ),
                        hint: "write variants with an algorithm and weights each, or sweep \
                               both in one `[[sweep.zip]]`"
                            .to_owned(),
                        source: layer.source,
                        span: layer.span(&self.sources, &path, Place::Key),
                    });
                }
            }
        }
        found
    }

    fn rounds_that_cannot_be(&self, rounds: &[RoundTable]) -> Vec<Mistake> {
        let mut found = Vec::new();
        if let Some(round) = rounds.first().filter(|_| !self.with_loss) {
            found.push(Mistake {
                message: "`[[round]]` repeats the policy stage, and there is no `[loss]`"
                    .to_owned(),
                hint: "add `[loss]` with an algorithm, or take the rounds out".to_owned(),
                source: 1,
                span: round.layer.span(&self.sources, &[], Place::Key),
            });
        }
        if let Some(round) = rounds.get(1)
            && self.base.iter().any(|l| lookup(&l.table, &segments("pairs.import")).is_some())
        {
            found.push(Mistake {
                message: "a second round samples anew, and `pairs.import` has no candidates"
                    .to_owned(),
                hint: "take out `pairs.import`, or the rounds after the first".to_owned(),
                source: 1,
                span: round.layer.span(&self.sources, &[], Place::Key),
            });
        }
        if let Some(round) = rounds.first().filter(|r| r.reference == ReferenceOf::Previous) {
            found.push(Mistake {
                message: "the first round has no previous policy to be held to".to_owned(),
                hint: "write `reference = \"base\"`, or leave it out".to_owned(),
                source: 1,
                span: round.layer.span(&self.sources, &["reference".to_owned()], Place::Value),
            });
        }
        found
    }
}
