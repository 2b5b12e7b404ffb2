//! What each judged benchmark asks of its judge, and how its grades become scores.

use crate::support::http::{Server, question, texts};
use crate::support::judged::Folder;
use crate::support::scores::value;
use prefab::eval::{benchmark, files};

#[test]
fn answers_are_scored_against_a_reference() {
    let folder = Folder::new();
    let table = "index\tquestion\tcategory\tcaption\tgpt4_ans\timage_path\n\
                 0\tQ0?\tconv\ta cat\tgood\t0.png\n1\tQ1?\tdetail\ta dog\tgood\t1.png\n\
                 2\tQ2?\tcomplex\ta cow\tgood\t2.png\n";
    let questions = folder.reads("llava_bench", "LLaVABench.tsv", table);
    assert_eq!(questions[0].says("direct"), "Answer this question in detail.");
    let server = Server::start(|_, asked| {
        let text = question(asked);
        assert!(text.contains("[Assistant 1]\ngood") && text.contains("[Picture]\na "), "{text}");
        texts(&[match () {
            () if text.contains("Q0?") => "8 4\nBecause.",
            () if text.contains("Q1?") => "Scores: 10, 9\nBecause.",
            () => "Both are fine.",
        }])
    });
    let scored = folder.score("llava_bench", &questions, &["a", "b", "c"], &server);
    assert_eq!(value(&scored.scores, "all", "relative"), 13.0 / 18.0);
    assert_eq!(value(&scored.scores, "conv", "relative"), 0.5);
    assert_eq!(value(&scored.scores, "all", "reference"), 9.0);
    assert_eq!(value(&scored.scores, "complex", "failed"), 1.0);
    assert!(
        !scored.scores.iter().any(|score| score.task == "complex" && score.metric == "relative")
    );
}

#[test]
fn ratings_below_three_are_hallucinations() {
    let folder = Folder::new();
    let lines: String = (0..9)
        .map(|index| {
            format!(
                "{{\"question\": \"Q{index}?\", \"image_content\": [\"dog\", \"tree\"], \
                 \"gt_answer\": \"g\", \"image_src\": \"{index}.png\"}}\n"
            )
        })
        .collect();
    let questions = folder.reads("mmhal", "mmhal-bench_with_image.jsonl", &lines);
    assert_eq!(questions[8].says("question_type"), questions[0].says("question_type"));
    let server = Server::start(|_, asked| {
        let text = question(asked);
        assert!(text.contains("In the picture: dog, tree"), "{text}");
        let number = (0..9).find(|index| text.contains(&format!("Q{index}?"))).unwrap();
        texts(&[&match number {
            0 => "Fine.\nRating: 6".to_owned(),
            1 => "**Rating:** 2".to_owned(),
            2 => "Rating: 3 or Rating: 2".to_owned(), // two ratings are none
            _ => format!("Rating: {}", number.min(5)),
        }])
    });
    let scored = folder.score("mmhal", &questions, &["x"; 9], &server);
    // 6, 2, none, 3, 4 and four times 5.
    assert_eq!(value(&scored.scores, "all", "rating"), 35.0 / 8.0);
    assert_eq!(value(&scored.scores, "all", "hallucination_rate"), 1.0 / 8.0);
    assert_eq!(value(&scored.scores, "all", "failed"), 1.0 / 9.0);
    assert_eq!(value(&scored.scores, "attribute", "rating"), 5.5);
}

#[test]
fn objects_of_a_description_are_looked_up() {
    let folder = Folder::new();
    let synonyms = "dog, puppy\nperson, man, woman\nsofa, couch\ncat, kitten\n";
    folder.write("halbench/synonyms_refine.txt", synonyms);
    folder.write(
        "halbench/annotations/instances_val2014.json",
        r#"{
        "categories": [{"id": 18, "name": "puppy"}, {"id": 1, "name": "person"}],
        "annotations": [{"image_id": 7, "category_id": 18, "segmentation": [[1, 2]]},
                        {"image_id": 8, "category_id": 1}]}"#,
    );
    folder.write(
        "halbench/annotations/captions_val2014.json",
        r#"{
        "annotations": [{"image_id": 7, "caption": "A puppy sits on a couch."}]}"#,
    );
    let lines = "{\"image_id\": 7, \"question\": \"Describe it.\"}\n{\"image_id\": 8, \"question\": \"Describe it.\"}\n\
                 {\"image_id\": 8, \"question\": \"Describe it well.\"}\n";
    let questions =
        folder.reads("object_halbench", "halbench/obj_halbench_300_with_image.jsonl", lines);
    assert_eq!(questions[0].says("objects"), "[\"dog\",\"sofa\"]");
    let server = Server::start(|_, asked| {
        texts(&[match question(asked).contains("Two puppies") {
            true => "```json\n[\"puppies\", \"couch\", \"kitten\", \"sky\"]\n```",
            false => "[\"man\"]",
        }])
    });
    let said = ["Two puppies on a couch, and a kitten.", "A man stands there.", "Nothing much."];
    let scored = folder.score("object_halbench", &questions, &said, &server);
    assert_eq!(server.count(), 2, "up to three words are not looked at");
    assert_eq!(value(&scored.scores, "all", "response_rate"), 0.5);
    assert_eq!(value(&scored.scores, "all", "mention_rate"), 0.25);
    assert_eq!(value(&scored.scores, "all", "coverage"), 0.75);
    std::fs::remove_file(folder.0.path().join("halbench/annotations/captions_val2014.json"))
        .unwrap();
    let path = folder.0.path().join("halbench");
    let error = files::read_blind(benchmark("object_halbench").unwrap(), &path).unwrap_err();
    assert!(error.to_string().contains("captions_*.json"), "{error}");
    std::fs::remove_file(path.join("synonyms_refine.txt")).unwrap();
    let error = files::read_blind(benchmark("object_halbench").unwrap(), &path).unwrap_err();
    assert!(error.to_string().contains("no synonym list"), "{error}");
}
