#!/usr/bin/env bash
# What goes wrong on one rank of an MPI job ends the job within ten seconds, with rank and op in a line, and leaves no process.
# usage: fault_test.sh MPIRUN MPI_FAULTS
set -u
mpirun=$1
job=$2
status=0

# fault KIND PATTERN: the job fails, and some line says PATTERN.
fault() {
  local kind=$1 pattern=$2 begin=$SECONDS said code
  said=$(timeout -k 1 15 "$mpirun" --allow-run-as-root --oversubscribe -n 2 "$job" "$kind" 2>&1)
  code=$?
  if [ $code -eq 0 ]; then echo "$kind: the job succeeded"; status=1; fi
  if [ $((SECONDS - begin)) -gt 10 ]; then echo "$kind: took $((SECONDS - begin)) s"; status=1; fi
  if ! grep -qE "$pattern" <<< "$said"; then echo "$kind: no line says $pattern:"; echo "$said"; status=1; fi
  if readlink /proc/[0-9]*/exe 2> /dev/null | grep -qxF "$(realpath "$job")"; then echo "$kind: a process is left"; status=1; fi
}

fault throws 'mpi_faults: rank 1, op [0-9]+ \(layer 0, micro-batch 0 / router\): the lights went out'
fault mismatch 'mpi_faults: rank 1, op [0-9]+ \(layer 0, micro-batch 0 / attention_all_gather\).*mismatch'
exit $status
