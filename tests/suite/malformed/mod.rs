//! A hundred and more malformed specs. `schema = 1` goes in front but for texts
//! that open with `!`; the place that a message must point at is marked «so».

mod shape;
mod sweeps;
mod values;

/// One malformed spec.
pub struct Case {
    /// The spec, with its mistake marked.
    pub text: &'static str,
    /// Part of what is said to be wrong.
    pub says: &'static str,
    /// Part of the way out.
    pub way_out: &'static str,
    /// Name of the snapshot of the whole message, for a representative dozen.
    pub snapshot: &'static str,
}

const fn case(
    text: &'static str,
    says: &'static str,
    way_out: &'static str,
    snapshot: &'static str,
) -> Case {
    Case { text, says, way_out, snapshot }
}

/// All of them.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [shape::CASES, values::CASES, sweeps::CASES].into_iter().flatten()
}
