#!/usr/bin/env bash
# A packed tar runs where it is unpacked, with nothing of ours installed: no library comes from outside but those of the machine.
# usage: pack_test.sh SOURCE BUILD
set -euo pipefail
source=$1
build=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$source/tools/pack" --build "$build" --out "$scratch/packed.tar.gz" > /dev/null 2>&1
mkdir "$scratch/elsewhere"
tar -C "$scratch/elsewhere" -xzf "$scratch/packed.tar.gz"
rm "$scratch/packed.tar.gz"
top=$scratch/elsewhere/fabricast
cd "$scratch"
alone() { env -i PATH=/usr/bin:/bin "$@"; }
fail() { echo "pack: $1"; exit 1; }

for program in bin/fabricast $([ -d "$top/lib/mpi" ] && echo lib/fabricast-worker); do
  LD_LIBRARY_PATH=$top/lib/mpi ldd "$top/$program" > "$scratch/libraries"
  if grep 'not found' "$scratch/libraries"; then fail "$program lacks libraries"; fi
  if sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' "$scratch/libraries" | grep -v "^$top/" | grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|libutil)\.so'; then
    fail "$program takes libraries from outside"
  fi
done

alone "$top/bin/fabricast" simulate "$top/configs/experiments/mixtral_8x7b_ep8.json" --json - | grep -q '"schema": "fabricast.report/1"' ||
  fail "simulate wrote no report"
if [ -e "$top/bin/fabricast-worker" ]; then
  alone "$top/bin/fabricast-worker" "$top/configs/experiments/ep4_tp2_tiny.json" --backend host --steps 1 --warm-up 0 | grep -q 'equal to the reference' ||
    fail "the worker's numbers are not the reference's"
  alone "$top/bin/fabricast" execute "$top/configs/experiments/ep4_tp2_tiny.json" --backend mpi --print-launch | grep -q "$top/bin/fabricast-worker" ||
    fail "execute does not find the worker beside it"
fi
if alone "$source/tools/pack" --build "$scratch" 2> /dev/null; then fail "packs a folder that is no build"; fi
