#!/usr/bin/env bash
# The DAAS search on every host of a Cloud TPU slice, one process a host: a v4-32 is 4 hosts of 4 chips, so 16 devices.
#
#   NAME=my-tpu ZONE=my-zone PYTHON=python3.11 launch/tpu_pod.sh
#
# The TPU VM has to exist, with Python >= 3.11 as $PYTHON. Once it was preempted and made again, the same line resumes.
# To stop:
#   gcloud compute tpus tpu-vm ssh NAME --zone=ZONE --worker=all --command='kill -- -$(cat daas_jax/search.pid)'
set -euo pipefail
: "${NAME:?the name of the TPU VM}" "${ZONE:?its zone}"

# THE LINE TO CHANGE: what is searched, and where the run is kept: a bucket, or a folder on worker 0.
SEARCH='--config=configs/daas_cifar10.py --workdir=gs://my-bucket/daas_cifar10'
# All chips. n_arch and n_w are multiples of their number: 4 for v4-8, 8 for v5litepod-8, 16 for v4-32.
SEARCH="$SEARCH --distributed=auto --config.parallel.devices=0 --config.search.n_arch=16 --config.search.n_w=16"

on_hosts() {
  gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker=all --command="$1"
}

# What is committed is copied, a config of your own too; what runs left on the hosts stays as it is.
code=$(mktemp -d)/daas_jax.tar.gz
git archive --format=tar.gz --output="$code" HEAD
gcloud compute tpus tpu-vm scp "$code" "$NAME":daas_jax.tar.gz --zone="$ZONE" --worker=all
on_hosts "mkdir -p daas_jax && tar -xzf daas_jax.tar.gz -C daas_jax && cd daas_jax &&
  ${PYTHON:-python3} -m venv .venv && .venv/bin/pip install --quiet 'jax[tpu]' '.[gcs]' &&
  .venv/bin/python -m daas_jax.prepare cifar10"
# Started again, at most 100 times, when it was preempted, a peer died (75) or it was killed (over 130); not when the
# input is bad (2) or the run diverged (3). setsid: it survives this connection, and is one group to stop.
on_hosts "cd daas_jax && . .venv/bin/activate && { setsid bash -c 'for _ in {1..100}; do
    python -m daas_jax.search $SEARCH
    status=\$?; (( status == 75 || status > 130 )) || break
  done' > search.log 2>&1 < /dev/null & echo \$! > search.pid; }"
