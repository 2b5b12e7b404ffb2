#!/bin/sh
# A short quickstart into a folder of its own: its tables and charts exist, a second run does nothing,
# and a run that was killed on the way ends at the same numbers.
set -eu
prefab=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
run() {
    "$prefab" run experiments/quickstart.toml --name "$1" --results "$folder/results" --store "$folder/$2" \
        --set corpus.train=160 --set corpus.validation=40 --set eval.slice=40 --set corpus.test=120 \
        --set train.pairs_per_step=8 --set train.micro_batch=8
}

run first store
for file in runs.csv jobs.csv stages.csv plan.json report.html charts/accuracy.png charts/accuracy.svg charts/accuracy.csv charts/grid.png; do
    [ -s "$folder/results/first/$file" ] || { echo "smoke: $file is missing or empty" >&2; exit 1; }
done

run first store 2>&1 | tee "$folder/again.log"
grep -q 'nothing to do, all' "$folder/again.log" || { echo "smoke: the second run did work" >&2; exit 1; }

# Killed after a few seconds in a store of its own, then run to the end.
setsid sh -c "exec timeout -s KILL 6 $prefab run experiments/quickstart.toml --name second --results $folder/results --store $folder/other \
    --set corpus.train=160 --set corpus.validation=40 --set eval.slice=40 --set corpus.test=120 \
    --set train.pairs_per_step=8 --set train.micro_batch=8" || true
run second other
cmp "$folder/results/first/runs.csv" "$folder/results/second/runs.csv" || { echo "smoke: runs.csv differs after a kill" >&2; exit 1; }
echo "smoke: tables and charts are there, a second run does nothing, a killed run ends at the same numbers"
