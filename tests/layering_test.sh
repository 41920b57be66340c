#!/usr/bin/env bash
# Fails where an #include points against the direction of dependence, or names a third-party header outside the file that wraps it.
# A shared include root would let a header-only leak link, so the linker cannot find these.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
status=0
report() { echo "layering: $1"; status=1; }

# forbid FOLDER PATTERN...: files of the folder (not of its subfolders) must not include paths that match.
forbid() {
  local folder=$1; shift
  local pattern file line
  for pattern in "$@"; do
    while IFS=: read -r file line _; do
      [ -n "$file" ] && report "$file:$line: $folder may not include $pattern"
    done < <(find "$folder" -maxdepth 1 \( -name '*.hpp' -o -name '*.cpp' \) -print0 | xargs -0 -r grep -nHE "^#include \"$pattern" || true)
  done
}

forbid hardware_models strategies/ sim/ runtime/ validation/ tools/
forbid strategies/ir 'strategies/[a-z_]+\.hpp' sim/ runtime/ validation/ tools/ 'hardware_models/(topology|gpu_cost|collective_model|byte_floor|cluster)'
forbid strategies sim/ runtime/ validation/ tools/ 'hardware_models/(gpu_cost|collective_model|byte_floor|cluster_config)'
forbid sim 'strategies/[a-z_]+\.hpp' runtime/ validation/ tools/
forbid validation tools/
if [ -d runtime ]; then forbid runtime sim/ validation/ tools/ 'strategies/[a-z_]+\.hpp' 'hardware_models/(topology|gpu_cost|collective_model|byte_floor)'; fi

# ctest splits names at semicolons and minds brackets: of such a test it runs a part of the name, which matches no test and passes.
if grep -rnE 'TEST_CASE(_TEMPLATE)?\("[^"]*[];[][^"]*"' tests --include='*.cpp'; then report 'a test name with ; or a bracket, which ctest does not run'; fi

# The event engine knows units only.
if grep -nHE '^#include "' sim/engine.hpp sim/engine.cpp | grep -vE '"(hardware_models/units|sim/engine)\.hpp"'; then report 'sim/engine may include hardware_models/units.hpp only'; fi

# Third-party headers stay out of headers, but for those that wrap CUDA, cuDNN and NCCL.
headers=$(find hardware_models strategies sim validation tools $( [ -d runtime ] && echo runtime ) -name '*.hpp' -o -name '*.cuh')
if grep -nHE '#include <(nlohmann|CLI|boost|Eigen|cuda|cublas|cudnn|nccl|nvtx|mpi|fmt)' $headers | grep -vE '^runtime/cuda/(cuda|cudnn|nccl)_api\.hpp:'; then report 'third-party header in a project header'; fi
# JSON parsing has one wrapper.
if grep -rnE '#include <nlohmann' hardware_models strategies sim validation tools --include='*.cpp' | grep -vE '^hardware_models/json_[a-z]+\.cpp'; then
  report 'nlohmann/json belongs in hardware_models/json_*.cpp'
fi
# So has the command line's parser.
if grep -rnE '#include <CLI' tools --include='*.cpp' | grep -v '^tools/fabricast/command_line\.cpp'; then
  report 'CLI11 belongs in tools/fabricast/command_line.cpp'
fi
exit $status
