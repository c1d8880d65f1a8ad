#!/usr/bin/env bash
# What a GPU makes of this package: numbers against the CPU's, times, a profile, the quickstart. For a machine with one
# NVIDIA GPU, Python 3.12 and JAX, and no network; launch/gpu_wheels.sh fills WHEELS beforehand, elsewhere.
#
#   launch/gpu_check.sh FOLDER [PART ...]     parts: install numbers times fast bfloat16 public profile quickstart report
#
# WHEELS (.whl) is the folder of wheels, PUBLIC (.public) one with checkouts of github.com/quark0/darts and
# github.com/D-X-Y/AutoDL-Projects, if there are any. FOLDER/report.md is the page to read.
# shellcheck disable=SC2329  # the parts are called by their names
set -uo pipefail
: "${1:?the folder for the results}"
out="$(mkdir -p "$1" && cd "$1" && pwd)" || exit 2
all=(install numbers times fast bfloat16 public profile quickstart report) parts=("${@:2}")
[[ ${#parts[@]} -gt 0 ]] || parts=("${all[@]}")
for part in "${parts[@]}"; do
  [[ " ${all[*]} " == *" $part "* ]] || { echo "gpu_check.sh: no part $part: choose from ${all[*]}" >&2; exit 2; }
done
wheels="${WHEELS:-.whl}" public="${PUBLIC:-.public}" site="${SITE:-/tmp/daas_jax_site}" jobs="${JOBS:-8}"
scratch="${SCRATCH:-/tmp/daas_jax_gpu}"
mkdir -p "$scratch"
# A process must not take the whole memory of the GPU: several compile at once.
export PYTHONPATH="$site:$PWD" XLA_PYTHON_CLIENT_PREALLOCATE=false TF_CPP_MIN_LOG_LEVEL=2

line() { echo "gpu: $1 ($SECONDS s)"; }

install() {
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$site" "$wheels"/*.whl
  python3 -c "import jax; print(jax.__version__, jax.devices(), jax.devices('cpu'))"
}

numbers() {  # the states of every method on both, all at once, and the kernels
  local cases name pids=()
  read -ra cases <<< "$(python3 launch/gpu_check.py cases)"
  rm -rf "$scratch/states" "$out"/{kernels,states}.json
  mkdir -p "$scratch"/states/{cpu,gpu}
  for name in "${cases[@]}"; do
    JAX_PLATFORMS=cpu python3 tests/parallel/several.py "$scratch/states/cpu" "$name" samples:1 2> "$scratch/$name.cpu" &
    pids+=($!)
    JAX_DEFAULT_MATMUL_PRECISION=highest python3 tests/parallel/several.py "$scratch/states/gpu" "$name" samples:1 \
      2> "$scratch/$name.gpu" &
    pids+=($!)
  done
  python3 launch/gpu_check.py kernels "$out/kernels.json"
  wait "${pids[@]}"
  grep -ih 'error' "$scratch"/*.gpu "$scratch"/*.cpu | tail -n 8
  python3 launch/gpu_check.py states "$scratch/states" "$out/states.json"
}

benchmark() {  # NAME CASES OPTION...
  rm -f "$out/times_$1.json"
  python3 -m daas_jax.benchmark --json="$out/times_$1.json" --only="$2" --at_once="$jobs" "${@:3}" | cut -c 1-150
}

path=single_path_forward,single_path_grad,arch_step
times() { benchmark xla "$path,policy_step,ddas_step,dense_*order,dense_amended,derived_20x36,wrn_40_2" --batch=64; }
fast() { benchmark fast "$path,dense_first_order,derived_20x36,wrn_40_2" --batch=64 --kernels=fast; }
bfloat16() { benchmark bfloat16 "$path,policy_step,dense_first_order" --batch=64 --dtype=bfloat16; }
public() { [[ ! -d $public ]] || benchmark public 'public:*' --batch=64 --public="$public"; }
profile() { rm -rf "$scratch/profile" "$out/profile.json"; python3 launch/gpu_check.py profile "$scratch/profile" "$out/profile.json"; }

quickstart() {
  local begun=$SECONDS
  rm -rf "$scratch/quickstart"
  python3 -m daas_jax.search --config=configs/quickstart.py --workdir="$scratch/quickstart" \
    --compilation_cache=off > "$out/quickstart.txt" 2>&1
  echo "quickstart: status $?, $((SECONDS - begun)) s, cold" | tee -a "$out/quickstart.txt"
}

report() { python3 launch/gpu_check.py report "$out"; }

status=0
for part in "${parts[@]}"; do
  line "$part"
  "$part" || status=$?
done
line 'over'
exit "$status"
