#!/usr/bin/env bash
# One leg of the chain without a scheduler: the same command on every machine.
#
#   HEAD=node1 NODES=8 launch/torchrun.sh SETTINGS LAST_STAGE [more options of `llamalite run`]
#
# HEAD is any one of the machines, which all the others must reach at PORT. Where a process dies, all
# are ended and started again at most RESTARTS times, from the last saved state.
set -euo pipefail

settings=${1:?give a file of settings, as made by: llamalite run --preset 70b --print_config}
last=${2:?give the last stage, as pretrain, versions or red_team}
shift 2
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

exec torchrun \
  --nnodes "${NODES:-1}" \
  --nproc-per-node "${GPUS:-8}" \
  --rdzv-backend c10d \
  --rdzv-endpoint "${HEAD:-localhost}:${PORT:-29500}" \
  --rdzv-id llamalite-run \
  --max-restarts "${RESTARTS:-3}" \
  -m llamalite run --config "$settings" --until "$last" "$@"
