//! Preference pairs as the model takes them: token ids, pictures by row of a features
//! tensor, both answers behind one prompt.

use super::gradient::{Known, PairLogps};
use super::guards;
use crate::data::image::{Tiling, View};
use crate::data::record::Pair;
use crate::data::rows::{Row, Rows};
use crate::data::template::Prompter;
use crate::data::tokenizer::Tokenizer;
use crate::model::pictures::Counter;
use crate::model::{Config, Group, Pictures, Tower, Vlm};
use crate::spec::eval::Split;
use crate::spec::train::Precision;
use crate::stage::StageContext;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;
use tch::{Device, Tensor};

/// Pairs between two words on how far they are looked over.
const TOLD: usize = 1024;

/// A preference pair, tokenised.
#[derive(Clone, Debug)]
pub struct PairRow {
    /// Prompt ids, picture tokens expanded.
    pub prompt: Vec<i64>,
    /// Its pictures.
    pub images: Vec<View>,
    /// Tiles of each picture.
    pub tiles: Vec<usize>,
    /// Chosen answer ids, end token included.
    pub chosen: Vec<i64>,
    /// Rejected answer ids, end token included.
    pub rejected: Vec<i64>,
}

impl PairRow {
    /// Tokens that a forward pass over the pair sees: the prompt once, both answers.
    pub fn tokens(&self) -> usize {
        self.prompt.len() + self.chosen.len() + self.rejected.len()
    }
}

/// The pairs of a stage's `pairs` input. They stay in their file and are tokenised when they
/// are asked for: three million of them, at 3,328 image tokens a prompt, fit no memory.
pub(super) struct Pairs<'a> {
    rows: Rows,
    prompter: Prompter<'a>,
    /// What they show.
    pub(super) pictures: Pictures,
    /// Tokens of each chosen and rejected answer.
    pub(super) lengths: Vec<[u32; 2]>,
}

/// What makes tokens of a row, without a tensor: threads share it.
#[derive(Clone, Copy)]
struct Reader<'a> {
    rows: &'a Rows,
    prompter: &'a Prompter<'a>,
    tiling: &'a Tiling,
    counter: Counter<'a>,
}

impl<'a> Pairs<'a> {
    /// Looks every pair over once, on all threads of the stage.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, a question does not fit its pictures, or what
    /// [`guards::row`] and [`guards::image_tokens`] refuse: the first such row is named.
    pub(super) fn open(
        ctx: &StageContext,
        config: &Config,
        tokenizer: &'a Tokenizer,
        tower: Tower,
        max_tokens: usize,
    ) -> Result<Self> {
        let rows = Rows::open(&ctx.input("pairs").join("pairs.jsonl"))?;
        let (tiling, count) = (config.tiling(), rows.len());
        let tell = |index: usize, note: &str| {
            if (index + 1).is_multiple_of(TOLD) {
                ctx.progress.report(index as u64 + 1, count as u64, note);
            }
        };
        let mut wanted = BTreeSet::new();
        let shown = |_, row: &Row| Ok(views(&tiling, &rows.parse(row)?).collect::<Vec<View>>());
        rows.each(shown, |index, views| {
            wanted.extend(views);
            tell(index, "pairs read");
        })?;
        let pairs = Self {
            prompter: config.prompter(tokenizer)?,
            pictures: Pictures::open(ctx, config, Split::Train, tower, &wanted)?,
            lengths: Vec::new(),
            rows,
        };
        guards::some(count)?;
        let reader = pairs.reader();
        let mut lengths = Vec::with_capacity(count);
        let looked_over = |index: usize, row: &Row| {
            let pair = reader.tokenised(index, row)?;
            guards::row(index, &pair, config.language.vocabulary as i64, max_tokens)?;
            guards::image_tokens(index, &pair, config.image_token, config.image_tokens)?;
            Ok([pair.chosen.len() as u32, pair.rejected.len() as u32])
        };
        reader.rows.each(looked_over, |index, length| {
            lengths.push(length);
            tell(index, "pairs looked over");
        })?;
        Ok(Self { lengths, ..pairs })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Those with these numbers, from 0.
    ///
    /// # Errors
    ///
    /// If the file was changed meanwhile.
    pub(super) fn get(&self, numbers: impl IntoIterator<Item = usize>) -> Result<Vec<PairRow>> {
        let reader = self.reader();
        let one = |number| reader.tokenised(number, &self.rows.row(number)?);
        numbers.into_iter().map(one).collect()
    }

    fn reader(&self) -> Reader<'_> {
        let Self { rows, prompter, pictures, .. } = self;
        Reader { rows, prompter, tiling: pictures.tiling(), counter: pictures.counter() }
    }
}

impl Reader<'_> {
    fn tokenised(&self, index: usize, row: &Row) -> Result<PairRow> {
        let pair: Pair = self.rows.parse(row)?;
        let images: Vec<View> = views(self.tiling, &pair).collect();
        let [question, chosen, rejected] = [&pair.question, &pair.chosen, &pair.rejected]
            .map(|text| self.prompter.template().learned(text));
        let tokenised = || {
            let tiles: Vec<usize> =
                images.iter().map(|view| self.counter.tiles(view)).collect::<Result<_>>()?;
            let prompt = self.prompter.encode_prompt_with(question, &tiles)?;
            Ok((tiles, prompt))
        };
        let (tiles, prompt) = tokenised().map_err(|error: Error| {
            error.context(format!("`{}` row {}", self.rows.path().display(), index + 1))
        })?;
        Ok(PairRow {
            prompt,
            chosen: self.prompter.encode_answer(chosen),
            rejected: self.prompter.encode_answer(rejected),
            images,
            tiles,
        })
    }
}

/// A pair's pictures, each with its limit of tiles.
fn views(tiling: &Tiling, pair: &Pair) -> impl Iterator<Item = View> {
    tiling.up_to(pair.max_tiles.unwrap_or(tiling.max_tiles)).views(&pair.image.0).into_iter()
}

/// Log-probabilities of both answers of some pairs, each prompt computed once.
///
/// # Shapes
///
/// `[pairs]` each, in the order of `rows`; they carry a gradient where grad mode is on.
///
/// # Errors
///
/// If a picture cannot be read.
pub fn logps(
    model: &Vlm,
    rows: &[&PairRow],
    pictures: &Pictures,
    precision: Precision,
) -> Result<PairLogps> {
    let images: Vec<&View> = rows.iter().flat_map(|row| &row.images).collect();
    let features = pictures.features_in(model, &images, precision)?; // [tiles, tokens, 4·vision_width]
    let mut first_tile = 0;
    let groups: Vec<Group<'_>> = rows
        .iter()
        .map(|row| {
            let tiles = first_tile..first_tile + row.tiles.iter().sum::<usize>();
            first_tile = tiles.end;
            Group { prompt: &row.prompt, tiles, answers: vec![&row.chosen, &row.rejected] }
        })
        .collect();
    let sums = model.answer_logps(&groups, &features, precision)?.sums; // [2·pairs]
    let by_pair = sums.view([-1, 2]); // [pairs, answer]
    Ok(PairLogps { chosen: by_pair.select(1, 0), rejected: by_pair.select(1, 1) })
}

/// The cached reference of every pair: reference.csv.
#[derive(Clone, Debug, Default)]
pub struct ReferenceTable {
    /// Summed log-probabilities of chosen and rejected answers, nats.
    pub logps: Vec<[f32; 2]>,
    /// Their token counts.
    pub tokens: Vec<[u32; 2]>,
}

/// The header of reference.csv.
pub const REFERENCE_COLUMNS: &str = "pair,chosen_logp,rejected_logp,chosen_tokens,rejected_tokens";

impl ReferenceTable {
    /// Reads reference.csv and checks it against the pairs it belongs to, of so many tokens.
    ///
    /// # Errors
    ///
    /// If the file is damaged, or its rows or token counts are not those of the pairs.
    pub fn read(path: &Path, lengths: &[[u32; 2]]) -> Result<Self> {
        let bad = |line: usize, what: &str| {
            Error::new(format!("`{}` line {line}: {what}", path.display()))
                .hint("remove the reference artifact; the next run computes it again")
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::new(format!("reading `{}`: {error}", path.display())))?;
        let mut lines = text.lines();
        if lines.next() != Some(REFERENCE_COLUMNS) {
            return Err(bad(1, "the header is not a reference table's"));
        }
        let mut table = Self::default();
        for (index, line) in lines.enumerate() {
            let cells: Vec<&str> = line.split(',').collect();
            let [pair, chosen, rejected, chosen_tokens, rejected_tokens] = cells[..] else {
                return Err(bad(index + 2, "a row has five cells"));
            };
            let float =
                |cell: &str| cell.parse::<f32>().map_err(|_| bad(index + 2, "not a number"));
            let count = |cell: &str| cell.parse::<u32>().map_err(|_| bad(index + 2, "not a count"));
            if pair.parse() != Ok(index) {
                return Err(bad(index + 2, "rows are not in the order of the pairs"));
            }
            table.logps.push([float(chosen)?, float(rejected)?]);
            table.tokens.push([count(chosen_tokens)?, count(rejected_tokens)?]);
        }
        if table.logps.len() != lengths.len() {
            let (found, wanted) = (table.logps.len(), lengths.len());
            return Err(bad(found + 1, &format!("{found} rows for {wanted} pairs")));
        }
        let differs = |(length, tokens): (&[u32; 2], &[u32; 2])| length != tokens;
        if let Some(index) = lengths.iter().zip(&table.tokens).position(differs) {
            return Err(bad(index + 2, "token counts differ from the pair's"));
        }
        Ok(table)
    }

    /// What is known of the pairs at `rows` before the policy sees them.
    pub fn known(&self, rows: &[usize], device: Device) -> Known {
        let column = |value: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = rows.iter().map(|&row| value(row)).collect();
            Tensor::from_slice(&values).to_device(device)
        };
        Known {
            reference: PairLogps {
                chosen: column(&|row| self.logps[row][0]),
                rejected: column(&|row| self.logps[row][1]),
            },
            chosen_tokens: column(&|row| self.tokens[row][0] as f32),
            rejected_tokens: column(&|row| self.tokens[row][1] as f32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ReferenceTable> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reference.csv");
        std::fs::write(&path, text).unwrap();
        ReferenceTable::read(&path, &[[3, 4], [2, 2]])
    }

    #[test]
    fn a_reference_table_gives_the_rows_asked_for() {
        let table = read(&format!("{REFERENCE_COLUMNS}\n0,-1.5,-2.5,3,4\n1,-3,-4,2,2\n")).unwrap();
        let known = table.known(&[1, 0], Device::Cpu);
        assert_eq!(Vec::<f32>::try_from(known.reference.chosen).unwrap(), [-3.0, -1.5]);
        assert_eq!(Vec::<f32>::try_from(known.rejected_tokens).unwrap(), [2.0, 4.0]);
    }

    #[track_caller]
    fn assert_refused(text: &str, part: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn a_table_that_is_not_the_pairs_own_is_refused_with_its_line() {
        assert_refused("nonsense\n", "line 1");
        assert_refused(&format!("{REFERENCE_COLUMNS}\n0,-1,-2,3,4\n"), "1 rows for 2 pairs");
        assert_refused(&format!("{REFERENCE_COLUMNS}\n0,-1,-2,3,4\n1,-3,-4,2,9\n"), "line 3");
        assert_refused(&format!("{REFERENCE_COLUMNS}\n1,-1,-2,3,4\n0,-3,-4,2,2\n"), "order");
        assert_refused(&format!("{REFERENCE_COLUMNS}\n0,x,-2,3,4\n"), "not a number");
    }
}
