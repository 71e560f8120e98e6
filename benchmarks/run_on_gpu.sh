#!/usr/bin/env bash
# All that a machine with an NVIDIA GPU is needed for, in one command, without network and in less than 8 minutes: builds and
# installs the library into a folder of its own, runs the tests of tests/on_device on the GPU, the same under compute-sanitizer
# (memcheck, racecheck), and the benchmarks against PyTorch, CuPy and the device's limits.
#
#   DUALWALK_GPU_RESULTS=FOLDER benchmarks/run_on_gpu.sh
#
# Logs and results go to FOLDER (./gpu-results where it is not set); the last thing printed is summary.md. A step that fails, or
# is stopped at its limit, does not keep the next ones from running; the exit status is then 1. It is 2 where there is no GPU.
# PYTHON names the interpreter, CUDAARCHS the architectures to build where all take too long.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

python=${PYTHON:-python3}
results=${DUALWALK_GPU_RESULTS:-gpu-results}
mkdir -p "$results" || exit 2
results=$(cd "$results" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly ALL=470 # seconds, for everything
failed=0
DUALWALK_COMMIT=${DUALWALK_COMMIT:-$(git rev-parse --short HEAD 2>/dev/null || echo unknown)}
export DUALWALK_COMMIT
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=2

# limited SECONDS COMMAND...: stops it at its limit, or 10 seconds before the end of all, whichever comes first.
limited() {
  local seconds=$1 left=$((ALL - SECONDS - 10))
  shift
  if ((left < seconds)); then seconds=$left; fi
  if ((seconds < 5)); then
    echo "no time left for: $*"
    return 124
  fi
  timeout --kill-after=5 "$seconds" "$@"
}

say() { echo "[$SECONDS s] $*"; }

row() { # row STEP STATUS WHAT-CAME-OF-IT
  if (($2 != 0)); then failed=1; fi
  local status="ok"
  if (($2 == 124 || $2 == 137)); then status="STOPPED at its limit"; elif (($2 != 0)); then status="FAILED"; fi
  echo "| $1 | $status | $3 |" >>"$results/summary.md"
  say "$1: $status: $3"
}

# ---- is there a GPU?

if ! device=$("$python" -c '
import cupy
facts = cupy.cuda.runtime.getDeviceProperties(0)
name, capability = facts["name"].decode(), "{major}.{minor}".format(**facts)
print(f"{name}, capability {capability}, CuPy {cupy.__version__}")' 2>"$work/error"); then
  echo "run_on_gpu.sh: no GPU that CuPy can use here: $(tail -n 1 "$work/error")" | tee "$results/summary.md"
  exit 2
fi
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
{
  echo "# $device, driver ${driver:-unknown}"
  echo
  nvcc=$(nvcc --version 2>/dev/null | grep -o 'release [0-9.]*')
  echo "Commit $DUALWALK_COMMIT, $(date -u '+%Y-%m-%d %H:%M UTC'), $("$python" --version), nvcc ${nvcc:-not on PATH}"
  echo
  echo "| step | status | what came of it |"
  echo "| --- | --- | --- |"
} >"$results/summary.md"
say "$device"

# ---- build and install: what users get, or where that takes too long, this GPU's architecture alone

install() {
  DUALWALK_CUDA=ON limited "$1" "$python" -m pip install -v --no-build-isolation --no-deps --no-index --upgrade \
    --target "$work/site" . >"$results/build.log" 2>&1
}
begin=$SECONDS
install 190
status=$?
what="for all architectures"
if ((status == 124 || status == 137)); then
  export CUDAARCHS=${CUDAARCHS:-native}
  begin=$SECONDS
  install 110
  status=$?
  what="for $CUDAARCHS alone, since all took more than 190 s"
fi
sizes=$(cd "$work/site/dualwalk" 2>/dev/null && du -k --apparent-size ./*.so |
  awk '{sub(".*/", "", $2); sub("[.].*", "", $2); printf "%s %d KiB, ", $2, $1}')
wheel=$(grep -o 'size=[0-9]*' "$results/build.log" | head -n 1 | cut -d= -f2)
row build $status "$((SECONDS - begin)) s $what; ${sizes}wheel $((${wheel:-0} / 1024)) KiB"
export PYTHONPATH="$work/site${PYTHONPATH:+:$PYTHONPATH}"
if ((status != 0)); then
  tail -n 30 "$results/build.log"
  cat "$results/summary.md"
  exit 1
fi

"$python" -c '
from dualwalk import _device
reason = _device.why_not()
print(reason or ", ".join(f"{name} {value}" for name, value in _device.kernels().facts().items()))
raise SystemExit(reason is not None)' >"$work/facts" 2>&1
row kernels $? "$(tail -n 1 "$work/facts")"

# ---- tests, each file in a process of its own: a fault of the device ends one file, not all

# Warnings of other packages are no failures here; one that the library raises is a failure where there is no GPU.
tests_of() { # tests_of TOOL SECONDS MARKS COMMAND...: all files at once; sets `counts`, returns the worst status
  local tool=$1 seconds=$2 marks=$3 log="$results/$1.log" test
  shift 3
  mkdir -p "$work/$tool"
  local running=()
  for test in tests/on_device/test_*.py; do
    {
      limited "$seconds" "$@" -m pytest -q -rfE --tb=short -W default -p no:cacheprovider -m "$marks" "$test"
      echo $? >"$work/$tool/$(basename "$test" .py).status"
    } >"$work/$tool/$(basename "$test" .py).log" 2>&1 &
    running+=($!)
  done
  wait "${running[@]}"
  local worst=0 status file unfinished=""
  for file in "$work/$tool"/*.status; do
    status=$(cat "$file")
    if ((status == 124 || status == 137)); then unfinished+=" $(basename "$file" .status)"; fi
    if ((status != 0 && status != 5 && (worst == 0 || status == 1 || status > 5))); then worst=$status; fi # 5: nothing selected
  done
  for file in "$work/$tool"/*.log; do
    printf '==== %s\n' "$(basename "$file" .log)"
    tail -c 500000 "$file"
  done >"$log"
  counts=$(grep -hE ' in [0-9.]+s' "$log" | grep -oE '[0-9]+ (passed|failed|skipped|error)' |
    awk '{n[$2] += $1} END {for (k in n) printf "%d %s, ", n[k], k}')
  counts="${counts%, }${unfinished:+; not finished:$unfinished}"
  return "$worst"
}

begin=$SECONDS
tests_of tests 130 gpu "$python"
row tests $? "$counts in $((SECONDS - begin)) s"

# ---- the same under compute-sanitizer, without CuPy's pool, so that every array's end is known

sanitize() { # sanitize TOOL
  local tool=$1 filter=()
  if compute-sanitizer --help 2>&1 | grep -q -- --kernel-regex; then filter=(--kernel-regex kns=dualwalk); fi
  local command=(compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all --print-limit 20)
  DUALWALK_GPU_POOL=off tests_of "$tool" 80 "gpu and not large" "${command[@]}" "${filter[@]}" "$python"
  local status=$?
  if [[ -z $counts ]]; then # the filter was not understood, perhaps
    DUALWALK_GPU_POOL=off tests_of "$tool" 60 "gpu and not large" "${command[@]}" "$python"
    status=$?
  fi
  local found
  found=$(grep -hoE '(ERROR|RACECHECK) SUMMARY: [0-9]+ (errors?|hazards?)' "$results/$tool.log" | awk '{n += $3} END {print n + 0}')
  echo "$status $found findings; $counts" >"$work/$tool.line"
}
if command -v compute-sanitizer >/dev/null; then
  begin=$SECONDS
  sanitize memcheck &
  sanitize racecheck &
  wait
  for tool in memcheck racecheck; do
    read -r status line <"$work/$tool.line"
    row "$tool" "$status" "$line in $((SECONDS - begin)) s"
  done
else
  echo "| memcheck, racecheck | skipped | compute-sanitizer is not on PATH |" >>"$results/summary.md"
fi

# ---- benchmarks

budget=$((ALL - SECONDS - 40))
if ((budget > 160)); then budget=160; fi
begin=$SECONDS
limited $ALL "$python" -m benchmarks.gpu --out "$results" --seconds "$budget" >"$results/benchmarks.log" 2>&1
status=$?
missed=$(grep -cE '\| (no|WRONG|FAILED)' "$results/benchmarks.md" 2>/dev/null)
said=""
if ((status != 0)); then said="; $(tail -n 1 "$results/benchmarks.log")"; fi
row benchmarks $status "$((SECONDS - begin)) s; ${missed:-0} cases wrong or short of a goal$said"
if [[ -f $results/benchmarks.md ]]; then
  echo >>"$results/summary.md"
  grep -E '^\|' "$results/benchmarks.md" >>"$results/summary.md"
fi

echo
cat "$results/summary.md"
exit $failed
