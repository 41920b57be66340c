#!/usr/bin/env python3
"""Fits what the network adds to a profile within a node, to published all-reduces across nodes, and says how far off it is.

    tools/calibration/fit_across_nodes.py FABRICAST PUBLISHED PROFILE CLUSTER

FABRICAST is the built command, which does the predicting (bench-collective); PUBLISHED the folder with coll_nccltests_tables.csv; PROFILE and
CLUSTER the JSON files to start from. One to three constants per fabric: "share", the share of the slower level's rate that large transfers reach
(kernels.nvls_tree.nvlink_share where NVSwitches reduce, since on two nodes NVLink is that level; else kernels.simple.network_share), "step",
the software cost of a step across nodes (network_step of simple and nvls_tree), and "chunk", pipeline_chunk, where no NVSwitches reduce: where
they do, NCCL's loops are the pieces. On EFA with NVSwitches "message" (kernels.message) takes the place of all, share and step
being the first fabric's. Fitted by Nelder-Mead from two starts to
the least mean |log error| over every other size from 1 MiB on of the first set of a fabric; judged on its other sizes and on the other sets,
from 16 MiB on. Latencies of LL and LL128 across nodes ("ll_step") are fitted before, to the sizes below 1 MiB of the first set; where it has
none they are Simple's.
"""
import copy
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import defaultdict

from nelder_mead import nelder_mead

# (name, sets: the first is fitted, NIC rate per GPU, constants, largest chunk across nodes: since NCCL 2.19 nvlsChunkSize, 128 KiB; before, a
# step of the buffer, 4 MiB / 8)
FABRICS = {
    "h100": [
        ("H100, 8 x NDR400 InfiniBand", ["nccl-tests#309-2n", "nccl-tests#309-2n-b"], "400 Gbit/s", ["share", "step"], "128 KiB"),
        ("H100, 16 x 200 Gbit/s RoCE (OCI)", ["oci-hpc-2n", "oci-hpc-tutorial-2n"], "400 Gbit/s", ["share", "step"], "128 KiB"),
        ("H100, 32 x 100 Gbit/s EFA (AWS p5)", ["awsome-p5-2n-eks"], "400 Gbit/s", ["message"], "512 KiB"),
    ],
    "a100": [("A100, 4 x 100 Gbit/s EFA (AWS p4de)", ["awsome-p4de-2n"], "50 Gbit/s", ["share", "step", "chunk"], None)],
}
# predicted with the constants of the first fabric, nothing fitted
OTHERS = {"h100": [("coreweave-Running Jobs", "400 Gbit/s")], "a100": []}


def load(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def tables(folder):
    sets = defaultdict(list)
    with open(folder + "/coll_nccltests_tables.csv", encoding="utf-8") as stream:
        for r in csv.DictReader(line for line in stream if not line.startswith("#")):
            if r["op"] != "all_reduce" or int(r["size_bytes"]) < 8 or not r["nodes"]:
                continue
            times = [float(r[k]) for k in ("time_us_oop", "time_us_ip") if r[k]]
            sets[r["set"]].append((int(r["size_bytes"]), min(times), int(r["nodes"])))
    return sets


class Model:
    def __init__(self, fabricast, profile, cluster, nic, nodes, chunk_across):
        self.chunk_across = chunk_across
        self.fabricast, self.profile, self.cluster = fabricast, profile, copy.deepcopy(cluster)
        self.cluster["nodes"] = nodes
        self.cluster["fabric"]["nic_bandwidth"] = nic
        self.cluster["fabric"]["nodes_per_leaf"] = max(nodes, 2)

    def times(self, constants, first, last):
        cluster = copy.deepcopy(self.cluster)
        cluster["collectives"] = profile = copy.deepcopy(self.profile)
        kernels = profile["kernels"]
        if cluster["node"].get("in_switch_reduction"):
            kernels["nvls_tree"]["nvlink_share"] = constants["share"]
        else:
            kernels["simple"]["network_share"] = constants["share"]
        for name in ("simple", "nvls_tree"):
            kernels[name]["network_step"] = "%.6g us" % constants["step"]
        for name in ("ll", "ll128"):
            kernels[name]["network_step"] = "%.6g us" % constants.get("ll_step", constants["step"])
        if "chunk" in constants:
            profile["pipeline_chunk"] = "%.6g MB" % constants["chunk"]
        if self.chunk_across:
            kernels["switch_loops"]["chunk_across"] = self.chunk_across
            kernels["message"] = "%.6g us" % constants.get("message", 0)
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as stream:
            json.dump(cluster, stream)
        try:
            out = subprocess.run([self.fabricast, "bench-collective", "all_reduce", "--cluster", stream.name, "--bytes",
                                  "%d:%d" % (first, last), "--json", "-"], check=True, capture_output=True, text=True).stdout
        finally:
            os.unlink(stream.name)
        return {r["bytes"]: (1e6 * r["seconds"], r["algorithm"] + " " + r["protocol"]) for r in json.loads(out)["rows"]}


def loss(model, constants, rows):
    if not 0.1 < constants["share"] <= 1:
        return 1e9
    times = model.times(constants, rows[0][0], rows[-1][0])
    return sum(abs(math.log(times[size][0] / t)) for size, t, _ in rows if size in times) / len(rows)


def fit(model, rows, names, first):
    start = {"share": 0.6 if model.cluster["node"].get("in_switch_reduction") else 0.9, "message": 5.0}
    constants = {"share": start["share"], "step": 6.0, **({"chunk": 12.0} if "chunk" in names else {})}
    if "share" not in names:
        constants.update({k: first[k] for k in ("share", "step", "ll_step")})
    small = [r for r in rows if r[0] < 1 << 20]
    if small:
        # Simple, whose steps cost more, must not stand in for a slow LL
        def with_step(v):
            return {**constants, "ll_step": math.exp(v[0]), "step": 2 * math.exp(v[0])}

        found = nelder_mead(lambda v: loss(model, with_step(v), small), [math.log(3.0)], 40, spread=0.2)
        constants["ll_step"] = math.exp(found[0])
    large = [r for r in rows if r[0] >= 1 << 20][::2]
    def named(v):
        return {**constants, **{k: math.exp(x) for k, x in zip(names, v)}}

    best = None
    for step, chunk in ((6.0, 12.0), (60.0, 60.0)):  # a fabric that starts fast, and one that does not
        begin = [math.log({**start, "step": step, "chunk": chunk}[k]) for k in names]
        found = named(nelder_mead(lambda v: loss(model, named(v), large), begin, 60, spread=0.2))
        found_loss = loss(model, found, large)
        if best is None or found_loss < best[0]:
            best = (found_loss, found)
    return best[1], {r[0] for r in large}


def judge(name, model, constants, rows, fitted):
    times = model.times(constants, rows[0][0], rows[-1][0])
    held = []
    for size, t, _ in rows:
        if size not in times:
            continue
        error = times[size][0] / t - 1
        print("    %12d B  measured %10.1f us  predicted %10.1f us  %+6.1f %%  %s%s" %
              (size, t, times[size][0], 100 * error, times[size][1], "  (fitted)" if size in fitted else ""))
        if size >= 1 << 24 and size not in fitted:
            held.append(abs(error))
    held.sort()
    print("  %s: held-out sizes from 16 MiB on: n %d, median |error| %.1f %%, worst %.1f %%" %
          (name, len(held), 100 * held[len(held) // 2], 100 * held[-1]))


def main():
    fabricast, folder, profile, cluster = sys.argv[1], sys.argv[2], load(sys.argv[3]), load(sys.argv[4])
    for key in ("gpu", "$schema"):
        if key == "gpu" and isinstance(cluster.get(key), str):
            cluster[key] = load(os.path.join(os.path.dirname(sys.argv[4]), cluster[key]))
    gpu = "a100" if cluster["gpu"]["name"].startswith("a100") else "h100"
    sets, first = tables(folder), None
    for name, members, nic, names, chunk_across in FABRICS[gpu]:
        rows = sets[members[0]]
        model = Model(fabricast, profile, cluster, nic, rows[0][2], chunk_across)
        constants, fitted = fit(model, rows, names, first)
        first = first or constants
        print(name, json.dumps({k: float("%.4g" % v) for k, v in constants.items()}))
        for member in members:
            judge(member, model, constants, sets[member], fitted if member == members[0] else set())
        sys.stdout.flush()
    for member, nic in OTHERS[gpu]:
        judge("other fabric, nothing fitted: " + member, Model(fabricast, profile, cluster, nic, sets[member][0][2], FABRICS[gpu][0][4]), first, sets[member], set())


main()
