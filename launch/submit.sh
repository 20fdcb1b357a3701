#!/usr/bin/env bash
# The whole chain of a preset on SLURM: each leg on as many machines as its stages are set up for.
#
#   launch/submit.sh PRESET SETTINGS [JOBS]
#
# JOBS (1) is how often pretraining is queued in a row, each job going on where the one before it ran
# out of time. Alignment begins when the last of them has ended well.
set -euo pipefail

preset=${1:?give a preset: 7b, 13b, 34b or 70b}
settings=${2:?give a file of settings, as made by: llamalite run --preset 70b --print_config}
jobs=${3:-1}
here=$(dirname "$0")
nodes=$(llamalite plan --preset "$preset" --json | grep -oP '"nodes": \K[0-9]+' | head -n 1)

# world and tokenizer are the work of one process: no cluster should wait for them
job=$(sbatch --parsable --nodes 1 --ntasks-per-node 1 --gpus-per-node 0 \
  "$here/run.sbatch" "$settings" tokenizer)
after=afterok
for _ in $(seq "$jobs"); do
  job=$(sbatch --parsable --nodes "$nodes" --dependency "$after:$job" \
    "$here/run.sbatch" "$settings" pretrain)
  after=afterany # the next goes on where time ran out
done
sbatch --nodes 8 --dependency "afterok:$job" "$here/run.sbatch" "$settings" red_team
