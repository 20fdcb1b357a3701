#!/usr/bin/env bash
# The whole chain of a preset on SLURM: pretraining on as many machines as SETTINGS asks for, and
# alignment on as many as it asks for fine-tuning (in the paper's presets all its stages ask for 8).
#
#   launch/submit.sh PRESET SETTINGS [JOBS]
#
# JOBS (1) is how often pretraining is queued in a row, each job going on where the one before it ran
# out of time. Alignment begins when the last of them has ended well. NODES and ALIGN_NODES ask for
# other numbers of machines.
set -euo pipefail

preset=${1:?give a preset: 7b, 13b, 34b or 70b}
settings=${2:?give a file of settings, as made by: llamalite run --preset 70b --print_config}
jobs=${3:-1}
here=$(dirname "$0")
grep -qx "preset: $preset" "$settings" || { echo "$settings is not of preset $preset" >&2; exit 2; }

# the machines of a stage's `parallel` in the settings
nodes_of() {
  awk -v stage="$1:" '/^[^ ]/ { top = $1 } /^  [^ ]/ { part = $1 }
    top == stage && part == "parallel:" && $1 == "nodes:" { print $2; exit }' "$settings"
}
nodes=${NODES:-$(nodes_of pretrain)}
align=${ALIGN_NODES:-$(nodes_of sft)}
: "${nodes:?$settings has no pretrain.parallel.nodes: give NODES}"
: "${align:?$settings has no sft.parallel.nodes: give ALIGN_NODES}"

# a corpus of one's own is packed by one process too, but within pretrain
packed=$(awk '/^[^ ]/ { top = $1 } /^  [^ ]/ { part = $1 }
  top == "pretrain:" && part == "corpus:" && /^    [^ ]/ && !/stream:/ { printf " %s", $1 }' "$settings")
if [ -n "$packed" ]; then
  echo "note: one process packs$packed while all $nodes machines of pretrain wait for it;" \
    "with stream: before each source nothing is packed" >&2
fi

# world and tokenizer are the work of one process: no cluster should wait for them
job=$(sbatch --parsable --nodes 1 --ntasks-per-node 1 --gpus-per-node 0 \
  "$here/run.sbatch" "$settings" tokenizer)
after=afterok
for _ in $(seq "$jobs"); do
  job=$(sbatch --parsable --nodes "$nodes" --dependency "$after:$job" \
    "$here/run.sbatch" "$settings" pretrain)
  after=afterany # the next goes on where time ran out
done
sbatch --nodes "$align" --dependency "afterok:$job" "$here/run.sbatch" "$settings" red_team
