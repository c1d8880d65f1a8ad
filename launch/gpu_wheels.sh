#!/usr/bin/env bash
# Fills a folder with the wheels that launch/gpu_check.sh takes to a machine without a network, which has Python 3.12
# and JAX with its GPU plugin, flax, optax, chex, orbax-checkpoint, Pillow and SciPy there already.
#
#   launch/gpu_wheels.sh FOLDER
set -euo pipefail
folder="${1:?where the wheels go}"
mkdir -p "$folder"
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
  --platform manylinux2014_x86_64 --platform manylinux1_x86_64 --dest "$folder" \
  array_record dm_pix ml_collections tensorflow-datasets tensorflow-metadata googleapis-common-protos \
  simple-parsing docstring_parser immutabledict importlib_resources termcolor toml dm-tree einops
python3 -m pip wheel --quiet --no-deps --wheel-dir "$folder" promise
du -sh "$folder"
