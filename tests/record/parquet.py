"""Writes the Parquet tables of tests/assets/parquet with pyarrow, in the columns of the Hub's tables.

    pip install pyarrow pillow && python3 tests/record/parquet.py tests/assets/parquet
"""

import io
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

out = sys.argv[1]
picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image(number):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 40, 90, 30)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": f"{number}.png"}


def write(name, columns, rows, **how):
    path = os.path.join(out, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    schema = pa.schema(columns)
    table = pa.Table.from_pylist([dict(zip(schema.names, row)) for row in rows], schema)
    pq.write_table(table, path, **how)  # snappy, as `datasets` writes


text, texts = pa.string(), pa.list_(pa.string())

chart = [("type", text), ("question", text), ("answer", text), ("image", picture)]
write("chartqa/test-00000-of-00002.parquet", chart, [
    ("human_test", "How many bars are there?", "4", image(1)),
    ("human_test", "Which is highest?", "Inspired", image(1)),
])
write("chartqa/test-00001-of-00002.parquet", chart, [("augmented_test", "What is the value in 2014?", "5.7", image(2))])

write("scienceqa.parquet", [
    ("image", picture), ("question", text), ("choices", texts), ("answer", pa.int8()), ("hint", text),
    ("task", text), ("grade", text), ("subject", text), ("topic", text), ("category", text), ("skill", text),
    ("lecture", text), ("solution", text),
], [
    (image(1), "Which of these is a solid?", ["water", "rock"], 1, "", "closed choice", "grade2",
     "natural science", "physics", "Materials", "Identify solids", "", "A rock is a solid."),
    (None, "Which is longer?", ["a mile", "an inch", "a foot"], 0, "Think of a road.", "closed choice", "grade2",
     "natural science", "units", "Units", "Choose units", "", "A mile."),
])

write("mathvista.parquet", [
    ("pid", text), ("question", text), ("image", text), ("decoded_image", picture), ("choices", texts),
    ("unit", text), ("precision", pa.float64()), ("answer", text), ("question_type", text), ("answer_type", text),
    ("metadata", pa.struct([("category", text), ("skills", texts), ("task", text)])), ("query", text),
], [
    ("1", "What is x?", "images/1.jpg", image(1), None, None, 1.0, "1.2", "free_form", "float",
     {"category": "math-targeted-vqa", "skills": ["algebraic reasoning"], "task": "geometry problem solving"}, "q"),
    ("2", "Is it a square?", "images/2.jpg", image(2), ["Yes", "No"], None, None, "No", "multi_choice", "text",
     {"category": "general-vqa", "skills": [], "task": "figure question answering"}, "q"),
])

write("ai2d.parquet", [("question", text), ("options", texts), ("answer", text), ("image", picture)], [
    ("What eats the frog?", ["snake", "bug", "leaf", "sun"], "0", image(3)),
])

write("docvqa.parquet", [("questionId", text), ("question", text), ("answers", texts), ("image", picture)], [
    ("49153", "What is the date?", ["1/8/93", "January 8, 1993"], image(4)),
])

write("packed.parquet", [("question", text)], [("Packed how?",)], compression="gzip")
