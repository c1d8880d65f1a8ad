#!/usr/bin/env bash
# The DAAS search on the TPU chips of ONE host: v3-8, v4-8, v5litepod-8, v6e-8 and the like.
# A pod slice of several hosts does not work yet: there every host has to run a process of the same search, and a search
# is one process so far. (Then this becomes --worker=all.)
#
#   NAME=my-tpu ZONE=my-zone launch/tpu_pod.sh
#
# The TPU VM has to exist, with Python >= 3.11. The same line again copies the code again and resumes the search.
set -euo pipefail
: "${NAME:?the name of the TPU VM}" "${ZONE:?its zone}"

# THE LINE TO CHANGE: what is searched, and where the run lies on the VM.
SEARCH='--config=configs/daas_cifar10.py --workdir=runs/daas_cifar10'
# All chips; 8 and 16 samples fit 4 or 8 of them, the paper's 5 and 10 do not.
SEARCH="$SEARCH --config.parallel.devices=0 --config.search.n_arch=8 --config.search.n_w=16"

on_host() {
  gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker=0 --command="$1"
}

# Only what git tracks is copied: runs/ on the VM stays as it is.
code=$(mktemp -d)/daas_jax.tar.gz
git archive --format=tar.gz --output="$code" HEAD
gcloud compute tpus tpu-vm scp "$code" "$NAME":daas_jax.tar.gz --zone="$ZONE" --worker=0
on_host 'mkdir -p daas_jax && tar -xzf daas_jax.tar.gz -C daas_jax && cd daas_jax && python3 -m venv .venv &&
  .venv/bin/pip install --quiet "jax[tpu]" . && .venv/bin/python -m daas_jax.prepare cifar10'
# nohup: the search survives this connection; its output is in daas_jax/search.log.
on_host "cd daas_jax && . .venv/bin/activate &&
  { nohup python -m daas_jax.search $SEARCH > search.log 2>&1 < /dev/null & }"
