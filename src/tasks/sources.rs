//! The data sets that the paper's pairs come from, and how each is treated: the counterpart of
//! the generated families for questions from files.
//!
//! A question belongs to a data set by its `source` (or else its `task`): names are compared
//! without case and marks, and a longer name may hold the data set's, as the released
//! files' do (`chartqa_trainval_30k_w_csv_en`). **To add one:** a line in the list.

use super::{Domain, Family};
use crate::data::record::Question;
use crate::spec::candidates::Prompt;

/// A data set.
#[derive(Clone, Copy, Debug)]
pub struct DataSet {
    /// As the paper writes it.
    pub name: &'static str,
    /// Its domain.
    pub domain: Domain,
    /// Most tiles of a picture when answers are sampled.
    pub tiles: usize,
}

/// Declares the list by domain.
macro_rules! data_sets {
    ($($domain:ident, $tiles:literal: $($name:literal),+;)+) => {
        /// The 22 data sets of Wang et al. 2024, arXiv:2411.10442, Table 1, by domain. Tiles are
        /// those of section 7 where it names the domain, else of the released sampling scripts.
        pub const DATA_SETS: &[DataSet] =
            &[$($(DataSet { name: $name, domain: Domain::$domain, tiles: $tiles }),+),+];
    };
}

data_sets! {
    General, 6: "VQAv2", "GQA", "OKVQA", "IconQA";
    Science, 6: "AI2D", "ScienceQA", "M3CoT";
    Chart, 12: "ChartQA", "DVQA", "MapQA";
    Mathematics, 6: "GeoQA+", "CLEVR-Math", "Geometry3K", "GEOS", "GeomVerse", "Geo170K";
    Ocr, 12: "OCRVQA", "InfoVQA", "TextVQA", "STVQA", "SROIE";
    Document, 12: "DocVQA";
}

/// Other names under which the released files hold a data set.
const ALIASES: &[(&str, &str)] = &[("infographics", "InfoVQA")];

/// The data set of that name, or whose name is part of it.
pub fn named(source: &str) -> Option<&'static DataSet> {
    let source = plain(source);
    let known = |name: &str| DATA_SETS.iter().find(|set| set.name == name);
    let names = DATA_SETS.iter().map(|set| (plain(set.name), set));
    let aliases = ALIASES.iter().filter_map(|(alias, name)| Some((plain(alias), known(name)?)));
    names
        .chain(aliases)
        .filter(|(name, _)| source.contains(name.as_str()))
        .max_by_key(|(name, _)| name.len())
        .map(|(_, set)| set)
}

/// Letters and digits, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The domain of a question: its family's, or its data set's where that is known.
pub fn domain(question: &Question) -> Option<Domain> {
    if question.generated.is_some() {
        return Family::named(&question.task).ok().map(|family| family.domain);
    }
    named(&question.source).or_else(|| named(&question.task)).map(|set| set.domain)
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
            ("SROIE_information_extraction_multi_turn_20240620", "SROIE"),
        ] {
            assert_eq!(named(file).map(|set| set.name), Some(name), "{file}");
        }
        for other in ["easy-vqa", "my pictures", "", "koniq10k_en"] {
            assert!(named(other).is_none(), "{other}");
        }
    }
}
