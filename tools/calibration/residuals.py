#!/usr/bin/env python3
"""Says how far the simulator's collectives are from published ones in a node and from DeepEP's kernels, through the built command.

    tools/calibration/residuals.py FABRICAST PUBLISHED CLUSTER

FABRICAST is the built command; PUBLISHED the folder with the tables below; CLUSTER a JSON file of A100, H100 or B200 GPUs, of which as many
nodes are taken as a row has. Prints relative errors by family and size band. Vidur's all-reduces (another NCCL, timed through
torch.distributed) are in no fit; fit_in_node.py and fit_token_kernels.py say what is in theirs. DeepEP's normal kernels on 8 nodes are left
out: their tokens were limited to 4 nodes, which bench-collective does not know; fit_token_kernels.py judges them.
"""
import copy
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict

KINDS = {"all_reduce": "all_reduce", "all_gather": "all_gather", "reduce_scatter": "reduce_scatter", "alltoall": "all_to_all"}
SYSTEMS = {"a100": ("a100_sxm", "A100"), "h100": ("h100_sxm", "H100 SXM"), "b200": ("b200_sxm", "B200")}
LEAST_SIZE, LEAST_TOKENS = 65536, 512


def read(path):
    with open(path, encoding="utf-8") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def load(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


class Simulator:
    def __init__(self, fabricast, path):
        self.fabricast, self.cluster = fabricast, load(path)
        for key in ("gpu", "collectives"):
            if isinstance(self.cluster[key], str):
                self.cluster[key] = load(os.path.join(os.path.dirname(path), self.cluster[key]))

    def gpu(self):
        return self.cluster["gpu"]["name"].split("_")[0]

    def seconds(self, kind, nodes, sizes, *arguments, token_sms=None):
        """{size: seconds} for those of `sizes` that a range in powers of two meets."""
        cluster = copy.deepcopy(self.cluster)
        cluster["nodes"] = nodes
        cluster["fabric"]["spines"] = 1  # a few nodes of a fabric that is not their bottleneck
        if token_sms:
            cluster["collectives"]["kernels"]["tokens"]["sms"] = token_sms
        with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:
            json.dump(cluster, stream)
            stream.flush()
            out = subprocess.run([self.fabricast, "bench-collective", kind, "--cluster", stream.name, "--bytes",
                                  "%d:%d" % (min(sizes), max(sizes)), "--json", "-", *arguments], check=True, capture_output=True, text=True)
        return {row["bytes"]: row["seconds"] for row in json.loads(out.stdout)["rows"]}


def band(size):
    return "64K-1M" if size < 1 << 20 else "1M-16M" if size < 1 << 24 else "16M-"


def summary(name, values):
    if not values:
        return
    size = sorted(map(abs, values))
    print("%-58s n %4d  median |error| %5.1f %%  p90 %5.1f %%  bias %+5.1f %%" %
          (name, len(size), 100 * size[len(size) // 2], 100 * size[int(0.9 * (len(size) - 1))], 100 * sum(values) / len(values)))


def judge(families, simulator):
    """families: {(source, kind, GPUs): [(size, us)]}"""
    everything = []
    for (source, kind, n), rows in sorted(families.items()):
        predicted = simulator.seconds(kind, 1, [size for size, _ in rows], "--group", ",".join(map(str, range(n))))
        errors = defaultdict(list)
        for size, us in rows:
            if size in predicted:
                errors[band(size)].append(1e6 * predicted[size] / us - 1)
        for name in ("64K-1M", "1M-16M", "16M-"):
            summary("%s %s %d %s" % (source, kind, n, name), errors[name])
            everything += errors[name]
    summary("all of these", everything)


def nccl_tests(folder, system, gpu):
    families = defaultdict(list)
    for r in read(folder + "/coll_nccl_intranode_aiconfigurator.csv"):
        if r["system"] == system and int(r["size_bytes"]) >= LEAST_SIZE:
            families[("aiconfigurator", KINDS[r["op"]], int(r["num_gpus"]))].append((int(r["size_bytes"]), float(r["latency_us"])))
    for r in read(folder + "/coll_nccltests_tables.csv"):
        if r["gpu"].startswith(gpu) and r["nodes"] == "1" and r["op"] in KINDS and int(r["size_bytes"]) >= LEAST_SIZE:
            families[(r["set"], KINDS[r["op"]], int(r["gpus"]))].append((int(r["size_bytes"]), float(r["time_us_oop"])))
    return families


def vidur(folder, gpu):
    families = defaultdict(list)
    path = folder + "/coll_vidur_%s_dgx_all_reduce.csv" % gpu
    for r in read(path) if os.path.exists(path) else []:
        size, n = int(r["size"]), int(r["num_workers"])
        if size >= LEAST_SIZE and size & (size - 1) == 0 and r["rank"] == "0" and int(r["devices_per_node"]) == n:
            families[("vidur", "all_reduce", n)].append((size, 1e3 * float(r["time_stats.all_reduce.median"])))
    return families


def token_kernels(folder, system, simulator):
    for form, path in (("deduplicated", "normal"), ("low_latency", "ll")):
        rows = read(folder + "/moe_deepep_%s_aiconfigurator.csv" % path)
        for way in ("dispatch", "combine"):
            for nodes in (1, 2) if form == "deduplicated" else (1, 2, 8):
                shapes = defaultdict(dict)
                for r in rows:
                    if r["system"] != (system if nodes == 1 else "h100_or_h200") or r["node_num"] != str(nodes):
                        continue
                    if form == "deduplicated" and int(r["num_token"]) < LEAST_TOKENS or int(r["num_token"]) & (int(r["num_token"]) - 1):
                        continue
                    if int(r["num_experts"]) % (8 * nodes):
                        continue
                    hidden = int(r["hidden_size"])
                    row = hidden + hidden // 32 if way == "dispatch" else 2 * hidden
                    key = (row, int(r["num_topk"]), int(r["num_experts"]), int(r.get(way + "_sms", 0)))
                    us = float(r[way + "_transmit_us"] if form == "deduplicated" else r[way + "_avg_t_us"])
                    shapes[key][int(r["num_token"]) * key[0] * key[1]] = us
                errors = []
                for (row, top_k, experts, sms), times in sorted(shapes.items()):
                    arguments = ["--algorithm", form, "--row", "%d" % row, "--top-k", "%d" % top_k, "--experts", "%d" % experts]
                    arguments += ["--combine"] if way == "combine" else []
                    predicted = simulator.seconds("all_to_all", nodes, times, *arguments, token_sms=sms)
                    errors += [1e6 * predicted[size] / us - 1 for size, us in times.items() if size in predicted]
                summary("DeepEP %s %s, %d nodes" % (form, way, nodes), errors)


def main():
    simulator, folder = Simulator(sys.argv[1], sys.argv[3]), sys.argv[2]
    system, gpu = SYSTEMS[simulator.gpu()]
    judge(nccl_tests(folder, system, gpu), simulator)
    judge(vidur(folder, simulator.gpu()), simulator)
    if "tokens" in simulator.cluster["collectives"].get("kernels", {}):
        token_kernels(folder, system, simulator)


main()
