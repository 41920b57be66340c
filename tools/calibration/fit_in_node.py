#!/usr/bin/env python3
"""Fits LibraryKernels of one platform to published nccl-tests rows within a node.

    tools/calibration/fit_in_node.py PUBLISHED PLATFORM [--hold-out]

PUBLISHED is the folder with coll_nccl_intranode_aiconfigurator.csv and coll_nccltests_tables.csv; PLATFORM is a100, h100 or b200. Prints the
constants as JSON and the residuals by family (operation, GPUs) and size band; --hold-out fits once more for each family, without it (from
whichever source), and prints what the others predict of it. The equations are those of hardware_models/library_kernels.cpp; "share" is a mode's
nvlink_share, "size" its fill_size, "extra" its call. Which protocol a row ran is not fitted: NCCL's tuner decides by public constants, TUNER
below. So each mode is fitted to its own rows, LL first, whose call all others add to: least mean |log error| by Nelder-Mead over the logarithms
of the constants, always from the same start; needs nothing but Python.
"""
import csv
import json
import math
import sys
from collections import defaultdict

from nelder_mead import nelder_mead

HOP = 0.6  # us, a route through the NVSwitch (clusters' nvlink_latency), beside each software step
STAGES = 2.0  # loops of NVLS held back: data are copied to where the switches reach them and, reduced, out again; between 1 and 3 the fit is as good
MOST_OF_LL = 16384  # bytes for each peer (NCCL_P2P_LL_THRESHOLD)

# rate of NVLink in bytes/us; channels of rings, of send and receive, of NVLS
PLATFORMS = {
    "a100": {"system": "a100_sxm", "gpu": "A100", "link": 300e3, "ring": 24, "p2p": 32, "nvls": 16},
    "h100": {"system": "h100_sxm", "gpu": "H100 SXM", "link": 450e3, "ring": 24, "p2p": 32, "nvls": 16},
    "b200": {"system": "b200_sxm", "gpu": "B200", "link": 900e3, "ring": 24, "p2p": 32, "nvls": 16},
}
# NCCL, src/graph/tuning.cc (2.27 to 2.29): base latency and latency of an NVLink hop in us; bytes/us on the bus. LL: llMaxBws; LL128: 0.92 of
# the ring, at most perChMaxRingLL128Bws of each of its 12 channels (36.7; Blackwell 40); Simple: the ring graph, 12 x 20, 30, 60 GB/s.
# NVLS: 8 heads of 1/8 of the GPU's links (40, 90 GB/s), times nvlsEfficiency, 2 and 7/8.
TUNER = {
    "a100": {"ll": (6.6, 0.6, 87.7e3), "ll128": (14, 1.9, 220.8e3), "simple": (8.4, 3.4, 240e3)},
    "h100": {"ll": (6.6, 0.6, 141e3), "ll128": (14, 1.9, 331.2e3), "simple": (8.4, 3.4, 360e3), "nvls": (25, 0, 476e3)},
    "b200": {"ll": (6.6, 0.6, 282e3), "ll128": (14, 1.9, 480e3), "simple": (8.4, 3.4, 720e3), "nvls": (25, 0, 932e3)},
}
KINDS = {"all_reduce": "all_reduce", "all_gather": "all_gather", "reduce_scatter": "reduce_scatter", "alltoall": "all_to_all"}
START = {
    "ll.call": 5.0, "ll.step": 0.5, "ll.share": 0.3,
    "ll128.extra": 0.5, "ll128.step": 0.4, "ll128.share": 0.4,
    "simple.extra": 5.0, "simple.step": 0.5, "simple.fill": 30.0, "simple.size": 5e6, "simple.share": 0.77, "channel_rate": 0.12,
    "p2p.extra": 2.0, "p2p.fill": 10.0, "p2p.size": 1e6, "p2p.share": 0.75, "p2p_ll.rate": 0.01,
    "nvls.extra": 7.0, "nvls.loop": 4.0, "nvls.share": 0.66,
}
# Where no row shows NVLS it stays at what the other generation's rows say, its share times the ratio of NCCL's nvlsEfficiency, 0.85 and 0.74
START_OF = {
    "h100": {"nvls.extra": 7.8, "nvls.loop": 6.3, "nvls.share": 0.70 * 0.85 / 0.74},
    "b200": {"nvls.extra": 7.7, "nvls.loop": 3.8, "nvls.share": 0.75 * 0.74 / 0.85},
}
MODES = [("ll", ("ll",)), ("ll128", ("ll128",)), ("simple", ("simple", "channel_rate")), ("p2p", ("p2p",)), ("nvls", ("nvls",))]
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


def steps_of(kind, n):
    return (2 if kind == "all_reduce" else 1) * (n - 1)


def mode_of(row, tuner):
    _, kind, n, size, _ = row
    if kind == "all_to_all":
        return "p2p"
    steps, best = steps_of(kind, n), None
    for mode, (call, step, rate) in tuner.items():
        if mode == "nvls" and (kind != "all_reduce" or n <= 2):
            continue
        time = call + steps * step + steps * size / n / rate
        if best is None or time < best[0]:
            best = (time, mode)
    return best[1]


def chunk(size, in_flight):
    largest = 131072
    for loops, smaller in ((64, 65536), (8, 32768), (2, 16384)):
        if size < loops * in_flight * largest and largest > smaller:
            largest = smaller
    return largest


def predict(p, row, mode, platform):
    _, kind, n, size, _ = row
    link = platform["link"]
    if mode == "nvls":
        loop = platform["nvls"] * n * chunk(size, platform["nvls"] * n) * (1 + 1 / n)
        sent = size * (1 + 1 / n)
        rate = loop / (loop / (p["nvls.share"] * link) + p["nvls.loop"])
        return p["ll.call"] + p["nvls.extra"] + HOP + (sent + STAGES * min(loop, sent)) / rate
    if mode == "p2p":
        start = p["ll.call"] + p["p2p.extra"] + HOP
        if size / n <= MOST_OF_LL:
            return start + size / n / (1e6 * p["p2p_ll.rate"])
        sent = size * (n - 1) / n
        share = min(p["p2p.share"], platform["p2p"] * p["channel_rate"] / loads_and_stores(kind, n))
        return start + p["p2p.fill"] * sent / (sent + p["p2p.size"]) + sent / (share * link)
    steps = steps_of(kind, n)
    sent = steps * size / n
    start = p["ll.call"] + (0 if mode == "ll" else p[mode + ".extra"]) + steps * (p[mode + ".step"] + HOP)
    if mode == "simple":
        share = min(p["simple.share"], platform["ring"] * p["channel_rate"] / loads_and_stores(kind, n))
        return start + p["simple.fill"] * sent / (sent + p["simple.size"]) + sent / (share * link)
    return start + sent * (steps + 1) / steps / (p[mode + ".share"] * link)


def fit(rows, name, restarts=4, steps=250):
    platform, tuner = PLATFORMS[name], TUNER[name]
    p = {**START, **START_OF.get(name, {})}
    by_mode = defaultdict(list)
    for r in rows:
        by_mode[mode_of(r, tuner)].append(r)
    for mode, prefixes in MODES:
        data = by_mode[mode]
        if not data:
            continue
        names = [k for k in START if k.split(".")[0] in prefixes or (mode == "p2p" and k == "p2p_ll.rate")]

        def named(v):
            return {**p, **{k: math.exp(max(-25.0, min(25.0, x))) for k, x in zip(names, v)}}

        def loss(v):
            q = named(v)
            if max(q[k] for k in q if k.endswith(".share")) > 1:
                return 1e9
            return sum(abs(math.log(predict(q, r, mode, platform) / r[4])) for r in data) / len(data)

        v = [math.log(p[k]) for k in names]
        for _ in range(restarts):
            v = nelder_mead(loss, v, steps)
        p = named(v)
    return p


def band(size):
    return "64K-1M" if size < 1 << 20 else "1M-16M" if size < 1 << 24 else "16M-"


def errors(p, rows, name):
    result = defaultdict(list)
    for r in rows:
        if r[3] < 65536:
            continue
        error = predict(p, r, mode_of(r, TUNER[name]), PLATFORMS[name]) / r[4] - 1
        result[(r[0], r[1], r[2], band(r[3]))].append(error)
        result[(r[0], r[1], r[2], "all")].append(error)
    return result


def describe(name, values):
    size = sorted(abs(v) for v in values)
    print("%-60s n %3d  median |error| %5.1f %%  p90 %5.1f %%  bias %+5.1f %%" %
          (name, len(size), 100 * size[len(size) // 2], 100 * size[int(0.9 * (len(size) - 1))], 100 * sum(values) / len(values)))


def main():
    folder, name = sys.argv[1], sys.argv[2]
    rows = measurements(folder, PLATFORMS[name])
    p = fit(rows, name)
    print(json.dumps({k: float("%.4g" % v) for k, v in p.items()}, indent=1))
    fitted = errors(p, rows, name)
    for key in fitted:
        describe("in the fit " + " ".join(map(str, key)), fitted[key])
    describe("in the fit, all", [v for key in fitted if key[3] == "all" for v in fitted[key]])
    if "--hold-out" not in sys.argv:
        return
    held, by_band = [], defaultdict(list)
    for family in sorted({r[1:3] for r in rows}):
        others, left_out = [r for r in rows if r[1:3] != family], [r for r in rows if r[1:3] == family]
        found = errors(fit(others, name), left_out, name)
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
