//! Answers, descriptions and rationales agree with a recount of what the labels say is there.

use prefab::spec::eval::Split;
use prefab::tasks::{FAMILIES, Family, Item, LAYERS, index};

fn items(family: &str) -> impl Iterator<Item = Item> {
    let family = Family::named(family).unwrap();
    (0..1500).map(|position| family.item(3, index(Split::Test, position)))
}

/// What the labels say is in the picture: shapes by (colour, shape), with their cells.
fn shapes(item: &Item) -> Vec<(usize, usize, usize)> {
    (0..16)
        .filter_map(|cell| {
            let class = usize::from(item.cells.class(0, cell));
            (1..=15).contains(&class).then(|| (cell, (class - 1) / 3, (class - 1) % 3))
        })
        .collect()
}

const COLOURS: [&str; 5] = ["red", "green", "blue", "yellow", "purple"];
const SHAPES: [&str; 3] = ["circle", "square", "triangle"];

/// Colour and shape that a text names, each where it does.
fn named(text: &str) -> (Option<usize>, Option<usize>) {
    let find = |list: &[&str]| list.iter().position(|word| text.contains(word));
    (find(&COLOURS), find(&SHAPES))
}

fn matching(item: &Item, (colour, shape): (Option<usize>, Option<usize>)) -> usize {
    shapes(item)
        .iter()
        .filter(|(_, c, s)| colour.is_none_or(|x| x == *c) && shape.is_none_or(|x| x == *s))
        .count()
}

#[test]
fn scene_answers_agree_with_a_recount_of_the_labels() {
    for item in items("count") {
        assert_eq!(item.answer, matching(&item, named(&item.question)).to_string());
    }
    for item in items("subtract") {
        let left = shapes(&item).len() - matching(&item, named(&item.question));
        assert_eq!(item.answer, left.to_string(), "{}", item.question);
    }
    for item in items("exists") {
        let there = matching(&item, named(&item.question)) > 0;
        assert_eq!(item.answer, if there { "yes" } else { "no" });
        assert_eq!(item.negative.is_none(), there);
        let (colour, shape) = named(&item.question);
        if item.negative == Some("adversarial") {
            assert!(matching(&item, (colour, None)) > 0 && matching(&item, (None, shape)) > 0);
        }
    }
    for item in items("describe") {
        let all: Vec<String> = shapes(&item)
            .iter()
            .map(|(_, colour, shape)| format!("{} {}", COLOURS[*colour], SHAPES[*shape]))
            .collect();
        assert_eq!(item.answer, all.join(", "));
        assert!(item.objects.iter().all(|object| all.contains(object)));
    }
}

#[test]
fn comparisons_and_relations_agree_with_the_labels() {
    for item in items("compare") {
        let words: Vec<&str> = COLOURS.iter().chain(&SHAPES).copied().collect();
        let mut asked: Vec<(usize, &str)> = words
            .iter()
            .filter_map(|word| item.question.find(word).map(|at| (at, *word)))
            .collect();
        asked.sort_unstable();
        let counts = [0, 1].map(|side: usize| matching(&item, named(asked[side].1)));
        let verdict = match counts[0].cmp(&counts[1]) {
            std::cmp::Ordering::Greater => asked[0].1,
            std::cmp::Ordering::Less => asked[1].1,
            std::cmp::Ordering::Equal => "equal",
        };
        assert_eq!(item.answer.trim_end_matches('s'), verdict, "{}", item.question);
    }
    for item in items("relation") {
        // Places are recounted from the labels, by the names in the rationale's first line.
        let first = item.rationale.lines().next().unwrap();
        let cells: Vec<usize> = first
            .split(", ")
            .map(|part| {
                let (colour, shape) = named(part);
                let found: Vec<_> = shapes(&item)
                    .into_iter()
                    .filter(|(_, c, s)| (Some(*c), Some(*s)) == (colour, shape))
                    .collect();
                assert_eq!(found.len(), 1, "{}", item.question);
                found[0].0
            })
            .collect();
        let (here, there) = (cells[0], cells[1]);
        let side = match (here % 4).cmp(&(there % 4)) {
            std::cmp::Ordering::Less => "left",
            std::cmp::Ordering::Greater => "right",
            std::cmp::Ordering::Equal if here < there => "above",
            std::cmp::Ordering::Equal => "below",
        };
        assert_eq!(item.answer, side);
    }
}

#[test]
fn chains_and_forms_agree_with_the_labels() {
    const CREATURES: [&str; 8] = ["leaf", "bug", "frog", "fish", "bird", "mouse", "snake", "fox"];
    const NOBODY: usize = CREATURES.len() + 1;
    let layer = |name| LAYERS.iter().position(|layer| layer.name == name).unwrap();
    let [object, digit, eater, food] = ["object", "digit", "eater", "food"].map(layer);
    for item in items("diagram") {
        let class = |layer, cell| usize::from(item.cells.class(layer, cell));
        // From the one that eats nobody to the one that nobody eats, creatures being classes 21 on.
        let mut cell = (0..16).find(|cell| class(food, *cell) == NOBODY).unwrap();
        let mut chain = vec![CREATURES[class(object, cell) - 21]];
        while class(eater, cell) != NOBODY {
            let next = class(eater, cell) - 1;
            chain.push(CREATURES[next]);
            cell = (0..16).find(|cell| class(object, *cell) == 21 + next).unwrap();
        }
        let read = item.rationale.lines().next().unwrap();
        assert_eq!(read, chain.join(", ") + ".");
    }
    for item in items("form") {
        let class = |layer, cell| usize::from(item.cells.class(layer, cell));
        // Letters are classes 35 on, digits are one below theirs.
        let fields: Vec<String> = (0..16)
            .filter(|cell| class(object, *cell) > 0)
            .map(|cell| {
                let letter = ["A", "B", "C", "D", "E", "F"][class(object, cell) - 35];
                format!("{letter} {}", class(digit, cell) - 1)
            })
            .collect();
        let read = item.rationale.lines().next().unwrap();
        assert_eq!(read, fields.join(", ") + ".");
    }
}

#[test]
fn careful_sums_are_right() {
    for family in FAMILIES {
        for item in items(family.name) {
            for step in item.rationale.lines().flat_map(|line| line.split([',', '.'])) {
                let parts: Vec<&str> = step.split_whitespace().collect();
                if let [a, sign, b, "=", c] = parts[..] {
                    let [a, b, c] = [a, b, c].map(|number| number.parse::<i64>().unwrap());
                    let right = match sign {
                        "+" => a + b,
                        "-" => a - b,
                        _ => a * b,
                    };
                    assert_eq!(c, right, "{}", item.rationale);
                }
            }
        }
    }
}

#[test]
fn labels_are_within_their_layers_and_never_empty() {
    for family in FAMILIES {
        for item in items(family.name) {
            let mut labelled = 0;
            for (layer, about) in LAYERS.iter().enumerate() {
                for cell in 0..16 {
                    let class = usize::from(item.cells.class(layer, cell));
                    assert!(class < about.classes, "{}: {}", family.name, about.name);
                    labelled += usize::from(class > 0);
                }
            }
            assert!(labelled > 0, "{}", family.name);
        }
    }
}
