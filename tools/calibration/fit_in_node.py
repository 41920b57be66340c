#!/usr/bin/env python3
"""Fits LibraryKernels of one platform to published nccl-tests rows within a node.

    tools/calibration/fit_in_node.py PUBLISHED PLATFORM [--hold-out]

PUBLISHED is the folder with coll_nccl_intranode_aiconfigurator.csv and coll_nccltests_tables.csv; PLATFORM is a100, h100 or b200. Prints the
constants as JSON and the residuals by family (operation, GPUs) and size band; --hold-out fits once more for each family, without it (from
whichever source), and prints what the others predict of it. The equations are those of hardware_models/library_kernels.cpp; "share" is a mode's
nvlink_share, "size" its fill_size, and nvls starts after simple's call. Least mean |log error| by Nelder-Mead over the logarithms of the
constants, always from the same start; needs nothing but Python.
"""
import csv
import json
import math
import sys
from collections import defaultdict

from nelder_mead import nelder_mead

HOP = 0.6  # us, a route through the NVSwitch (clusters' nvlink_latency), beside each software step

# rate of NVLink in bytes/us; channels of rings, of send and receive; do the NVSwitches reduce
PLATFORMS = {
    "a100": {"system": "a100_sxm", "gpu": "A100", "link": 300e3, "ring": 24, "p2p": 32, "nvls": False},
    "h100": {"system": "h100_sxm", "gpu": "H100 SXM", "link": 450e3, "ring": 24, "p2p": 32, "nvls": True},
    "b200": {"system": "b200_sxm", "gpu": "B200", "link": 900e3, "ring": 24, "p2p": 32, "nvls": True},
}
KINDS = {"all_reduce": "all_reduce", "all_gather": "all_gather", "reduce_scatter": "reduce_scatter", "alltoall": "all_to_all"}
START = {
    "channel_rate": 0.12, "simple.share": 0.77, "call": 4.5,
    "ll.step": 0.3, "ll.share": 0.05,
    "ll128.call": 0.5, "ll128.step": 0.4, "ll128.share": 0.25,
    "simple.call": 4.0, "simple.step": 0.3, "simple.fill": 30.0, "simple.size": 5e6,
    "p2p.call": 2.0, "p2p.share": 0.75, "p2p.fill": 10.0, "p2p.size": 1e6,
    "nvls.share": 0.66, "nvls.fill": 60.0, "nvls.size": 5e6,
}
LEAST_SIZE = 4096


def read(path):
    with open(path, encoding="utf-8") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def measurements(folder, platform):
    """[(source, kind, GPUs, S, us)]"""
    rows = []
    for r in read(folder + "/coll_nccl_intranode_aiconfigurator.csv"):
        if r["system"] == platform["system"]:
            rows.append(("aiconfigurator", KINDS[r["op"]], int(r["num_gpus"]), int(r["size_bytes"]), float(r["latency_us"])))
    for r in read(folder + "/coll_nccltests_tables.csv"):
        if r["gpu"].startswith(platform["gpu"]) and r["nodes"] == "1" and r["op"] in KINDS:
            rows.append((r["set"], KINDS[r["op"]], int(r["gpus"]), int(r["size_bytes"]), float(r["time_us_oop"])))
    return [r for r in rows if r[3] >= LEAST_SIZE]


def loads_and_stores(kind, n):
    f = (n - 1) / n
    return {"all_gather": (2 + f) / f, "reduce_scatter": (2 + f) / f, "all_reduce": (1 + 2 * f) / f, "all_to_all": (2 + 2 * f) / f}[kind]


def features(row, platform):
    """(point to point?, steps, bytes sent, loads and stores, S(1 + 1/n) of NVLS or 0)"""
    _, kind, n, size, _ = row
    rounds = 2 if kind == "all_reduce" else 1
    steps = 1 if kind == "all_to_all" else rounds * (n - 1)
    in_switch = size * (1 + 1 / n) if platform["nvls"] and kind == "all_reduce" and n > 2 else 0
    return kind == "all_to_all", steps, rounds * (n - 1) / n * size, loads_and_stores(kind, n), in_switch


def predict(p, x, platform):
    p2p, steps, sent, moved, in_switch = x
    link = platform["link"]
    if p2p:
        share = min(p["p2p.share"], platform["p2p"] * p["channel_rate"] / moved)
        return p["call"] + p["p2p.call"] + HOP + p["p2p.fill"] * sent / (sent + p["p2p.size"]) + sent / (share * link)
    share = min(p["simple.share"], platform["ring"] * p["channel_rate"] / moved)
    best = steps * p["ll.step"] + sent / (p["ll.share"] * link)
    best = min(best, p["ll128.call"] + steps * p["ll128.step"] + sent / (p["ll128.share"] * link))
    simple = p["simple.call"] + steps * p["simple.step"] + p["simple.fill"] * sent / (sent + p["simple.size"]) + sent / (share * link)
    hops = steps
    if simple < best:
        best = simple
    if in_switch:
        nvls = p["simple.call"] + p["nvls.fill"] * in_switch / (in_switch + p["nvls.size"]) + in_switch / (p["nvls.share"] * link)
        if nvls < best:  # chosen by software time, as the tuner does
            best, hops = nvls, 1
    return p["call"] + best + hops * HOP


def loss(p, data, platform):
    if max(p["simple.share"], p["p2p.share"], p["nvls.share"], p["ll.share"], p["ll128.share"]) > 1:
        return 1e9
    return sum(abs(math.log(predict(p, x, platform) / t)) for x, t in data) / len(data)


def fit(rows, platform, restarts=3, steps=600):
    data = [(features(r, platform), r[4]) for r in rows]
    names = [name for name in START if platform["nvls"] or not name.startswith("nvls")]
    fixed = {name: START[name] for name in START if name not in names}

    def named(v):
        return {**fixed, **{name: math.exp(max(-25.0, min(25.0, x))) for name, x in zip(names, v)}}

    v = [math.log(START[name]) for name in names]
    for _ in range(restarts):
        v = nelder_mead(lambda w: loss(named(w), data, platform), v, steps)
    return named(v)


def band(size):
    return "64K-1M" if size < 1 << 20 else "1M-16M" if size < 1 << 24 else "16M-"


def errors(p, rows, platform):
    result = defaultdict(list)
    for r in rows:
        if r[3] < 65536:
            continue
        error = predict(p, features(r, platform), platform) / r[4] - 1
        result[(r[0], r[1], r[2], band(r[3]))].append(error)
        result[(r[0], r[1], r[2], "all")].append(error)
    return result


def describe(name, values):
    size = sorted(abs(v) for v in values)
    print("%-60s n %3d  median |error| %5.1f %%  p90 %5.1f %%  bias %+5.1f %%" %
          (name, len(size), 100 * size[len(size) // 2], 100 * size[int(0.9 * (len(size) - 1))], 100 * sum(values) / len(values)))


def main():
    folder, platform = sys.argv[1], PLATFORMS[sys.argv[2]]
    rows = measurements(folder, platform)
    p = fit(rows, platform)
    print(json.dumps({k: float("%.4g" % v) for k, v in p.items()}, indent=1))
    fitted = errors(p, rows, platform)
    for key in fitted:
        describe("in the fit " + " ".join(map(str, key)), fitted[key])
    describe("in the fit, all", [v for key in fitted if key[3] == "all" for v in fitted[key]])
    if "--hold-out" not in sys.argv:
        return
    held, by_band = [], defaultdict(list)
    for family in sorted({r[1:3] for r in rows}):
        others, left_out = [r for r in rows if r[1:3] != family], [r for r in rows if r[1:3] == family]
        found = errors(fit(others, platform), left_out, platform)
        for key, values in found.items():
            describe("left out " + " ".join(map(str, key)), values)
            if key[3] == "all":
                held += values
            else:
                by_band[(key[1], key[3])] += values
        sys.stdout.flush()
    for key in sorted(by_band):
        describe("left out, all of " + " ".join(key), by_band[key])
    describe("left out, all families", held)


main()
