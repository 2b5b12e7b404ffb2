//! What judges reply: LLaVA-Bench and MM-Vet.

use super::case::{Case, float_of, number, raised};
use super::{Group, Ours, Rule, whole};
use crate::Result;
use crate::answer::metric::{llava_bench, mm_vet};
use crate::answer::python::number::round;
use crate::answer::python::value::float_json;
use serde_json::{Map, Value, json};

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "llava_bench_parse",
        variant: Some("vlmevalkit_and_internvl"),
        peer: |case| Ok(scores(llava_bench::scores_peers(case.text("text")?))),
        ours: Some(Ours {
            value: |case| Ok(llava_bench::scores(case.text("text")?).map_or(Value::Null, scores)),
            part: whole,
            rules: &[FAILED, RANGE, LAYOUT],
            parts: None,
        }),
    },
    Group {
        metric: "llava_bench_summary",
        variant: Some("both"),
        peer: |case| {
            let rows = llava_rows(case)?;
            let table = |rows: std::collections::BTreeMap<String, (f64, f64, f64)>,
                         names: [&str; 3]|
             -> Value {
                let entry = |(name, values): (String, (f64, f64, f64))| {
                    let values = [values.0, values.1, values.2];
                    let fields = names.into_iter().map(str::to_owned).zip(values.map(float_json));
                    (name, Value::Object(fields.collect()))
                };
                rows.into_iter().map(entry).collect::<Map<_, _>>().into()
            };
            Ok(json!({
                "vlmevalkit": table(llava_bench::summary_vlmevalkit(&rows), ["relative", "vlm", "gpt4"]),
                "internvl": raised(llava_bench::summary_internvl(&rows), |rows| {
                    table(rows, ["relative_1dp", "reference_1dp", "model_1dp"])
                }),
            }))
        },
        ours: Some(Ours {
            value: llava_summary,
            part: whole,
            rules: &[LEFT_OUT, ROUNDED_ONCE, DIVISION],
            parts: None,
        }),
    },
    Group {
        metric: "mmvet_judge",
        variant: Some("vlmevalkit"),
        peer: |case| {
            let grade = mm_vet::grade_vlmevalkit(&case.texts("judge_outputs")?);
            Ok(grade_fields(grade, 0.0.into()))
        },
        ours: Some(Ours {
            value: |case| {
                Ok(grade_fields(mm_vet::grade(&case.texts("judge_outputs")?), Value::Null))
            },
            part: whole,
            rules: &[NAN, NO_GRADE],
            parts: None,
        }),
    },
    Group {
        metric: "mmvet_summary",
        variant: Some("vlmevalkit"),
        peer: |case| {
            let (categories, grades) = mm_vet_rows(case)?;
            let rows: Vec<_> = categories.iter().map(String::as_str).zip(grades).collect();
            Ok(raised(mm_vet::summary_vlmevalkit(&rows), |summary| tables(&summary)))
        },
        ours: Some(Ours {
            value: |case| {
                let (categories, grades) = mm_vet_rows(case)?;
                let rows: Vec<_> = categories.iter().map(String::as_str).zip(grades).collect();
                Ok(tables(&mm_vet::summary(&rows)))
            },
            part: whole,
            rules: &[NO_QUESTION, COUNTED_ONCE, CAPABILITY_IS_A_WORD],
            parts: None,
        }),
    },
];

fn scores((reference, model): llava_bench::Scores) -> Value {
    if (reference, model) == llava_bench::FAILED {
        return json!([-1, -1]);
    }
    json!([float_json(reference), float_json(model)])
}

const FAILED: Rule = Rule {
    name: "llava_failed_judge_is_no_score",
    about: "a reply without two scores is a failure of the judge, and no -1",
    holds: |case| {
        let text = case.text("text")?;
        Ok(llava_bench::scores_peers(text) == llava_bench::FAILED
            && llava_bench::scores(text).is_none())
    },
};
const RANGE: Rule = Rule {
    name: "llava_scores_to_ten",
    about: "a score lies from 0 to 10",
    holds: |case| {
        let (reference, model) = llava_bench::scores_peers(case.text("text")?);
        let out = |score: f64| !(0.0..=llava_bench::HIGHEST).contains(&score);
        Ok((reference, model) != llava_bench::FAILED && (out(reference) || out(model)))
    },
};
const LAYOUT: Rule = Rule {
    name: "llava_any_layout",
    about: "two scores are read in any layout on the first line that holds text",
    holds: |case| {
        let text = case.text("text")?;
        let line = text.split('\n').next().unwrap_or_default();
        Ok(line.split(' ').filter(|part| !part.is_empty()).count() != 2
            || line.contains([',', ';', '/', ':', '*', '[', '\t', '('])
            || line.trim() != line
            || line.contains("  "))
    },
};

fn llava_rows<'c>(case: &'c Case<'_>) -> Result<Vec<(&'c str, llava_bench::Scores)>> {
    let rows = case.list("rows")?;
    let categories = case.of_rows(rows, "category", Value::as_str)?;
    let scores = case.of_rows(rows, "scores", |scores| {
        Some((float_of(scores.get(0)?)?, float_of(scores.get(1)?)?))
    })?;
    Ok(categories.into_iter().zip(scores).collect())
}

/// Whether neither score is a failure's -1.
fn fits((reference, model): &llava_bench::Scores) -> bool {
    *reference >= 0.0 && *model >= 0.0
}

/// Ours in both recorded forms; a failed reply is left out.
fn llava_summary(case: &Case<'_>) -> Result<Value> {
    let rows = llava_rows(case)?;
    let rows: Vec<llava_bench::Row<'_>> =
        rows.into_iter().map(|(category, scores)| (category, Some(scores).filter(fits))).collect();
    let (mut plain, mut printed) = (Map::new(), Map::new());
    for (name, means) in llava_bench::summary(&rows) {
        let one = |value: Option<f64>| number(value.map(|value| round(value, 1)));
        let key = if name == "overall" { "all".to_owned() } else { format!("llava_bench_{name}") };
        printed.insert(
            key,
            json!({
                "relative_1dp": one(means.relative),
                "reference_1dp": one(means.reference),
                "model_1dp": one(means.model),
            }),
        );
        plain.insert(
            name,
            json!({
                "relative": number(means.relative),
                "vlm": number(means.model),
                "gpt4": number(means.reference),
            }),
        );
    }
    Ok(json!({ "vlmevalkit": plain, "internvl": printed }))
}

const LEFT_OUT: Rule = Rule {
    name: "llava_failures_are_left_out",
    about: "a failed reply is counted and left out of the means",
    holds: |case| Ok(llava_rows(case)?.iter().any(|(_, scores)| !fits(scores))),
};
const ROUNDED_ONCE: Rule = Rule {
    name: "llava_rounded_once",
    about: "figures are rounded when printed, not before the ratio is taken",
    holds: |case| {
        let rows = llava_rows(case)?;
        let mut names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
        names.push("");
        Ok(names.iter().any(|name| {
            let group = || {
                rows.iter()
                    .filter(|(row, _)| name.is_empty() || row == name)
                    .map(|(_, scores)| scores)
            };
            let count = group().count() as f64;
            let means = [
                group().map(|s| s.0).sum::<f64>() / count,
                group().map(|s| s.1).sum::<f64>() / count,
            ];
            means.iter().any(|&mean| round(mean, 3) != mean)
        }))
    },
};
const DIVISION: Rule = Rule {
    name: "llava_undefined_is_no_number",
    about: "a ratio to a mean of zero is undefined, and no score",
    holds: |case| Ok(llava_rows(case)?.iter().any(|(_, (reference, _))| *reference == 0.0)),
};

fn grade_fields(grade: mm_vet::Grade, failed: Value) -> Value {
    json!({
        "score": grade.score.map_or(failed, float_json),
        "calls": grade.calls,
        "ok": grade.score.is_some(),
    })
}

const NAN: Rule = Rule {
    name: "mm_vet_nan_is_no_grade",
    about: "nan is no grade",
    holds: |case| {
        let is_nan =
            |reply: &String| crate::answer::python::number::float(reply).is_some_and(f64::is_nan);
        Ok(case.texts("judge_outputs")?.iter().any(is_nan))
    },
};
const NO_GRADE: Rule = Rule {
    name: "mm_vet_failed_judge_is_no_score",
    about: "a judge who gives no grade in five tries failed, and grades nothing 0",
    holds: |case| {
        let in_range = |reply: &String| {
            crate::answer::python::number::float(reply)
                .is_some_and(|grade| (0.0..=1.0).contains(&grade))
        };
        Ok(!case.texts("judge_outputs")?.iter().take(mm_vet::TRIES).any(in_range))
    },
};

fn mm_vet_rows(case: &Case<'_>) -> Result<(Vec<String>, Vec<f64>)> {
    let rows = case.list("rows")?;
    let categories = case.of_rows(rows, "category", |value| value.as_str().map(str::to_owned))?;
    Ok((categories, case.of_rows(rows, "score", float_of)?))
}

fn tables(summary: &mm_vet::Summary) -> Value {
    let table = |groups: &[mm_vet::Group]| -> Value {
        let entry = |group: &mm_vet::Group| {
            (group.name.clone(), json!({ "tot": group.count, "acc": number(group.accuracy) }))
        };
        groups.iter().map(entry).collect::<Map<_, _>>().into()
    };
    json!({ "capability": table(&summary.capabilities), "combination": table(&summary.combinations) })
}

const NO_QUESTION: Rule = Rule {
    name: "mm_vet_undefined_is_no_number",
    about: "a capability without a question has no score",
    holds: |case| {
        let (categories, _) = mm_vet_rows(case)?;
        let asked =
            |capability: &&str| categories.iter().any(|category| category.contains(*capability));
        Ok(!mm_vet::CAPABILITIES.iter().all(asked))
    },
};
const COUNTED_ONCE: Rule = Rule {
    name: "mm_vet_a_question_counts_once",
    about: "a question of one capability counts once, not again as a combination of that name",
    holds: |case| {
        Ok(mm_vet_rows(case)?
            .0
            .iter()
            .any(|category| mm_vet::CAPABILITIES.contains(&category.as_str())))
    },
};
const CAPABILITY_IS_A_WORD: Rule = Rule {
    name: "mm_vet_capability_is_a_word",
    about: "a capability is one of the words between commas, not a part of one",
    holds: |case| {
        let known = |word: &str| mm_vet::CAPABILITIES.contains(&word.trim());
        Ok(mm_vet_rows(case)?.0.iter().any(|category| !category.split(',').all(known)))
    },
};
