//! MM-Vet: a judge grades each answer 0 to 1; capabilities and their combinations are averaged.

use crate::answer::python::number::float;
use crate::answer::python::{Exception, PyResult};

/// Capabilities, in the benchmark's order.
pub const CAPABILITIES: [&str; 6] = ["rec", "ocr", "know", "gen", "spat", "math"];

/// How often a judge is asked.
pub const TRIES: usize = 5;

/// A grade, and how many replies it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grade {
    /// The grade; none where no reply held one.
    pub score: Option<f64>,
    /// Replies looked at.
    pub calls: usize,
}

/// The first reply that is a number in `[0, 1]`.
///
/// # Source
///
/// Yu et al. 2023, arXiv:2308.02490, section 3.3.
pub fn grade(replies: &[String]) -> Grade {
    graded(replies, |score| (0.0..=1.0).contains(&score))
}

/// VLMEvalKit's grade, for which `nan` is in range.
pub fn grade_vlmevalkit(replies: &[String]) -> Grade {
    // Not a number is neither below nor above.
    graded(replies, |score| !matches!(score, s if s < 0.0) && !matches!(score, s if s > 1.0))
}

fn graded(replies: &[String], fits: impl Fn(f64) -> bool) -> Grade {
    let mut calls = 0;
    for reply in replies.iter().take(TRIES) {
        calls += 1;
        if let Some(score) = float(reply).filter(|&score| fits(score)) {
            return Grade { score: Some(score), calls };
        }
    }
    Grade { score: None, calls }
}

/// A sum of grades under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Capability, combination or `Overall`.
    pub name: String,
    /// Number of grades.
    pub count: usize,
    /// `100 · mean`; none where there is no grade.
    pub accuracy: Option<f64>,
}

/// Averages by capability and by combination, `Overall` last in both.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// One group for each of [`CAPABILITIES`].
    pub capabilities: Vec<Group>,
    /// One group for each combination, in order of first appearance, joined by `_`.
    pub combinations: Vec<Group>,
}

/// A graded question: its capabilities, parted by commas, and its grade.
pub type Row<'a> = (&'a str, f64);

/// Averages grades.
pub fn summary(rows: &[Row<'_>]) -> Summary {
    let has = |category: &str, capability: &str| {
        category.split(',').any(|part| part.trim() == capability)
    };
    tables(rows, has, false)
}

/// VLMEvalKit's table: capabilities are found as parts of text, and a combination of one capability
/// shares that capability's sum, so that its questions count twice.
///
/// # Errors
///
/// A `ZeroDivisionError` where a capability has no question.
pub fn summary_vlmevalkit(rows: &[Row<'_>]) -> PyResult<Summary> {
    let tables = tables(rows, |category, capability| category.contains(capability), true);
    let mut groups = tables.capabilities.iter().chain(&tables.combinations);
    if groups.any(|group| group.count == 0) {
        return Err(Exception("ZeroDivisionError"));
    }
    Ok(tables)
}

fn tables(rows: &[Row<'_>], has: impl Fn(&str, &str) -> bool, shared: bool) -> Summary {
    // A capability and a combination of the same name are one sum where sums are shared.
    let mut sums: Vec<((bool, String), f64, usize)> = Vec::new();
    let mut add = |is_combination: bool, name: &str, score: f64| {
        let key = (is_combination && !shared, name.to_owned());
        match sums.iter_mut().find(|(known, ..)| *known == key) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + score, *count + 1),
            None => sums.push((key, score, 1)),
        }
    };
    let mut combinations: Vec<String> = Vec::new();
    for &(category, score) in rows {
        let combination = category.replace(',', "_");
        for capability in CAPABILITIES.into_iter().filter(|capability| has(category, capability)) {
            add(false, capability, score);
        }
        add(false, "Overall", score);
        add(true, &combination, score);
        if !combinations.contains(&combination) {
            combinations.push(combination);
        }
    }
    let group = |is_combination: bool, name: &str| {
        let key = (is_combination && !shared, name.to_owned());
        let sum = sums.iter().find(|(known, ..)| *known == key);
        let (sum, count) = sum.map_or((0.0, 0), |(_, sum, count)| (*sum, *count));
        let accuracy = (count > 0).then(|| sum / count as f64 * 100.0);
        Group { name: name.to_owned(), count, accuracy }
    };
    let overall = || group(false, "Overall");
    Summary {
        capabilities: CAPABILITIES
            .iter()
            .map(|name| group(false, name))
            .chain([overall()])
            .collect(),
        combinations: combinations
            .iter()
            .map(|name| group(true, name))
            .chain([overall()])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn the_first_number_in_range_is_the_grade() {
        for (texts, score, calls) in [
            (["0.5", "1", "", "", ""], Some(0.5), 1),
            (["Score: 0.5", "1.1", " 0.7 ", "", ""], Some(0.7), 3),
            (["0,5", "-0.1", "inf", "five", "50%"], None, 5),
            (["nan", "0.3", "", "", ""], Some(0.3), 2),
            (["-0", "", "", "", ""], Some(0.0), 1),
        ] {
            assert_eq!(grade(&replies(&texts)), Grade { score, calls }, "{texts:?}");
        }
        assert!(grade_vlmevalkit(&replies(&["nan"])).score.is_some_and(f64::is_nan));
    }

    #[test]
    fn a_question_counts_once_for_each_of_its_capabilities() {
        let rows = [("rec,ocr", 1.0), ("rec", 0.5)];
        let ours = summary(&rows);
        let rec = &ours.capabilities[0];
        assert_eq!((rec.count, rec.accuracy), (2, Some(75.0)));
        assert_eq!(ours.capabilities[5].accuracy, None);
        assert_eq!(
            ours.combinations[1],
            Group { name: "rec".into(), count: 1, accuracy: Some(50.0) }
        );
        assert_eq!(summary_vlmevalkit(&rows), Err(Exception("ZeroDivisionError")));
        let all = [("rec,ocr,know,gen,spat,math", 1.0), ("rec", 0.5)];
        let theirs = summary_vlmevalkit(&all).unwrap();
        assert_eq!(theirs.capabilities[0].count, 3);
    }
}
