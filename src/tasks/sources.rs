//! The data sets that the paper's pairs come from, and how each is treated: the counterpart of
//! the generated families for questions from files.
//!
//! A question belongs to a data set by its `source` (or else its `task`): names are compared
//! without case and marks (`CLEVR-Math`, `clevr_math`), and a longer name may hold the data set's
//! as words of its own, as the released files' do (`chartqa_trainval_30k_w_csv_en`). **To add
//! one:** a line in the list.

use super::{Domain, Family};
use crate::data::record::Question;
use crate::spec::candidates::Prompt;

/// A way to compare a prediction with one known answer; [`crate::answer::matching`] does it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Equal after light normalization, or as numbers: generated questions, whose answers are known exactly.
    Exact,
    /// Equal after the VQA normalizer.
    Vqa,
    /// Numbers within 5 %, years exactly: charts.
    Relaxed,
    /// The same option letter.
    Letter,
    /// Numbers of any form within 0.1 %, integers exactly.
    Math,
    /// Average normalized Levenshtein similarity: scanned documents.
    Anls,
    /// Yes against no, however it is said.
    YesNo,
}

/// What most data sets' answers are compared by, and those of unknown ones.
pub const MIXED: &[Mode] = &[Mode::Vqa, Mode::Letter, Mode::Math, Mode::YesNo];
/// Numbers read off a chart.
const CHART: &[Mode] = &[Mode::Relaxed, Mode::YesNo];
/// Texts read off a page.
const SCANNED: &[Mode] = &[Mode::Anls, Mode::YesNo];
/// Numbers that are measured or calculated, or anything else.
const MEASURED: &[Mode] = &[Mode::Relaxed, Mode::Vqa, Mode::Letter, Mode::Math, Mode::YesNo];

/// A data set.
#[derive(Clone, Copy, Debug)]
pub struct DataSet {
    /// As the paper writes it.
    pub name: &'static str,
    /// Its domain.
    pub domain: Domain,
    /// Most tiles of a picture, where the model cuts as many.
    pub tiles: usize,
    /// How its answers are compared: one of these modes is enough.
    pub modes: &'static [Mode],
}

/// Declares the list by domain.
macro_rules! data_sets {
    ($($domain:ident, $tiles:literal, $modes:ident: $($name:literal),+;)+) => {
        /// The 22 data sets of Wang et al. 2024, arXiv:2411.10442, Table 1, by domain. Tiles are
        /// those of section 7 where it names the domain, else of the released sampling scripts;
        /// modes those of InternVL's data pipeline, with yes and no beside.
        pub const DATA_SETS: &[DataSet] = &[$($(DataSet {
            name: $name,
            domain: Domain::$domain,
            tiles: $tiles,
            modes: $modes,
        }),+),+];
    };
}

data_sets! {
    General, 6, MIXED: "VQAv2", "GQA", "OKVQA", "IconQA";
    Science, 6, MIXED: "AI2D", "ScienceQA", "M3CoT";
    Chart, 12, CHART: "ChartQA";
    Chart, 12, MIXED: "DVQA", "MapQA";
    Mathematics, 6, MIXED: "GeoQA+";
    Mathematics, 6, MEASURED: "CLEVR-Math", "Geometry3K", "GEOS";
    Mathematics, 6, MIXED: "GeomVerse", "Geo170K";
    Ocr, 12, MIXED: "OCRVQA";
    Ocr, 12, SCANNED: "InfoVQA";
    Ocr, 12, MIXED: "TextVQA", "STVQA";
    Ocr, 12, MEASURED: "SROIE";
    Document, 12, SCANNED: "DocVQA";
}

/// Other names under which files hold a data set.
const ALIASES: &[(&str, &str)] = &[
    ("infographics", "InfoVQA"),
    ("InfographicVQA", "InfoVQA"),
    ("InfographicsVQA", "InfoVQA"),
    ("geometry", "Geometry3K"),
    ("GeoQAplus", "GeoQA+"),
];

/// The data set of that name, or whose name is part of it; of several the longest name's.
pub fn named(source: &str) -> Option<&'static DataSet> {
    let known = |name: &str| DATA_SETS.iter().find(|set| set.name == name);
    let names = DATA_SETS.iter().map(|set| (plain(set.name), set));
    let aliases = ALIASES.iter().filter_map(|(alias, name)| Some((plain(alias), known(name)?)));
    names
        .chain(aliases)
        .filter(|(name, _)| holds(source, name))
        .max_by_key(|(name, _)| name.len())
        .map(|(_, set)| set)
}

/// Letters and digits, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a plain name is in a text, marks left out, and neither begins nor ends within a word:
/// `big_qa_set` is no GQA.
fn holds(text: &str, name: &str) -> bool {
    let kept = text.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric());
    let places: Vec<usize> = kept.map(|(at, _)| at).collect();
    let plain = plain(text);
    let letter = |at: usize| text[at..].chars().next().is_some_and(char::is_alphabetic);
    plain.match_indices(name).any(|(first, _)| {
        let (start, last) = (places[first], places[first + name.len() - 1]);
        let begins = !text[..start].ends_with(char::is_alphanumeric);
        begins && !letter(last + 1)
    })
}

/// The data set that a question from files belongs to.
pub fn of(question: &Question) -> Option<&'static DataSet> {
    if is_generated(question) {
        return None;
    }
    named(&question.source).or_else(|| named(&question.task))
}

/// Whether Prefab drew the question, so that its answer is known exactly.
pub fn is_generated(question: &Question) -> bool {
    question.generated.is_some() || question.source == "generated"
}

/// The most tiles of a question's pictures, where its data set has fewer than the model cuts.
pub fn tiles(question: &Question, most: usize) -> Option<usize> {
    of(question).map(|set| set.tiles).filter(|tiles| *tiles < most)
}

/// The domain of a question: its family's, or its data set's where that is known.
pub fn domain(question: &Question) -> Option<Domain> {
    if question.generated.is_some() {
        return Family::named(&question.task).ok().map(|family| family.domain);
    }
    of(question).map(|set| set.domain)
}

/// The multimodal chain of thought that a question is asked in; generated descriptions, which
/// name everything anyway, have none.
pub fn form_of(question: &Question) -> Option<Prompt> {
    let family = question.generated.as_ref().and_then(|_| Family::named(&question.task).ok());
    if family.is_some_and(|family| family.open) {
        return None;
    }
    form(domain(question)?)
}

/// The multimodal chain of thought of a domain; mathematics has none of its own.
///
/// # Source
///
/// Wang et al. 2024, arXiv:2411.10442v2, figure 7, k to m.
pub fn form(domain: Domain) -> Option<Prompt> {
    match domain {
        Domain::Science => Some(Prompt::Background),
        Domain::Chart | Domain::Ocr | Domain::Document => Some(Prompt::Visual),
        Domain::General => Some(Prompt::Grounded),
        Domain::Mathematics => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_22_and_their_names_find_them() {
        assert_eq!(DATA_SETS.len(), 22);
        for set in DATA_SETS {
            assert_eq!(named(set.name).map(|found| found.name), Some(set.name));
        }
    }

    #[test]
    fn released_file_names_find_their_data_set() {
        for (file, name) in [
            ("chartqa_trainval_30k_w_csv_en_20240402_extracted", "ChartQA"),
            ("CLEVR_math_en_20240402", "CLEVR-Math"),
            ("geoqa+_en_20240402_extracted_open_ended_only", "GeoQA+"),
            ("infographics_20240403_qa_20240407_v2", "InfoVQA"),
            ("okvqa_train", "OKVQA"),
            ("CLEVR-Math", "CLEVR-Math"),
            ("Clevr Math (train)", "CLEVR-Math"),
            ("InfographicVQA", "InfoVQA"),
            ("ST-VQA", "STVQA"),
            ("chartqa_docvqa", "ChartQA"),
            ("docvqa_x.jsonl", "DocVQA"),
            ("SROIE_information_extraction_multi_turn_20240620", "SROIE"),
        ] {
            assert_eq!(named(file).map(|set| set.name), Some(name), "{file}");
        }
        for other in
            ["easy-vqa", "my pictures", "", "koniq10k_en", "big_qa_set", "geospatial", "é", "GQAé"]
        {
            assert!(named(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_data_set_has_tiles_and_modes_and_a_generated_question_has_neither() {
        let from = |source: &str| Question { source: source.into(), ..Question::default() };
        assert_eq!(tiles(&from("gqa_train"), 12), Some(6));
        // The model's own limit is as low, or lower; nothing is known.
        assert_eq!(tiles(&from("docvqa"), 12), None);
        assert_eq!(tiles(&from("gqa"), 1), None);
        assert_eq!(tiles(&from("my own"), 12), None);
        let generated = Question { task: "gqa".into(), ..from("generated") };
        assert!(of(&generated).is_none());
        let by_task = Question { task: "DocVQA_val".into(), ..from("my folder") };
        assert_eq!(of(&by_task).map(|set| set.modes), Some(SCANNED));
        for name in ["CLEVR-Math", "CLEVR_math", "clevr math"] {
            assert_eq!(of(&from(name)).map(|set| set.modes), Some(MEASURED), "{name}");
        }
    }
}
