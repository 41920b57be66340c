#!/usr/bin/env python3
"""Fits TokenKernels (DeepEP's dispatch and combine) to published kernel times by tokens, SMs and experts.

    tools/calibration/fit_token_kernels.py PUBLISHED SYSTEM

PUBLISHED is the folder with moe_deepep_normal_aiconfigurator.csv and moe_deepep_ll_aiconfigurator.csv; SYSTEM is h100_sxm, h200_sxm or
b200_sxm. Rows travel as fp8 with a 4-byte scale per 128 elements in a dispatch, as bf16 in a combine, once per node and GPU on which a token
has an expert. Equations as in hardware_models/library_kernels.cpp: in a node
  call + fill + max(copies · (row + b / nvlink_per_sm) / sms, sent / (share · NVLink)), fill = F · sent / (sent + F's size),
across nodes, t being the time of either level, NICs crossings · b / (share · NIC), NVLink forwarding times as long as above,
  call + step + max t + min t · min(1, piece / tokens),
low latency call + rows that leave · b / (share · link).
The share of the NIC is not fitted, since two nodes do not fill it: it is what DeepEP V1's document says of 32 ranks, bytes that leave the node
over the time (SHARE). Least mean |log error| by Nelder-Mead. Held out: in the node every other shape (hidden size, top-k, experts), across nodes
every other number of tokens. The times across nodes do not say whether they are an H100's or an H200's. Those on 8 nodes are judged, not fitted:
dispatches take more than twice as long as DeepEP's README says of 64 ranks, and combines of 16,384 tokens eight times as long as of 4,096.
"""
import csv
import math
import sys

from nelder_mead import nelder_mead

LINK = {"h100_sxm": 450e3, "h200_sxm": 450e3, "b200_sxm": 900e3}  # bytes/us
NIC = 50e3
HOP, WIRE = 0.6, 1.74  # us, routes over NVLink and over NICs (the clusters' nvlink_latency, nic_latency), beside the software
NODE_LIMIT = 4  # nodes with a token's experts at most, as in DeepEP's tests (group-limited gating)
SHARE = {"dispatch": 58 * 3 / 4 / 50, "combine": 57 * 3 / 4 / 50}  # of 32 ranks, in GB/s over a NIC's (docs/legacy.md at 0297fc80)
MANY = 512  # tokens from which errors are also given apart


def read(path):
    with open(path, encoding="utf-8") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def distinct(top_k, experts, parts, nodes):
    """Parts on which a token has an expert: k drawn without replacement from the experts on the nodes that it is limited to."""
    kept = min(nodes, NODE_LIMIT) / nodes
    parts, experts = parts * kept, experts * kept
    return parts * (1 - math.comb(round(experts - experts / parts), top_k) / math.comb(round(experts), top_k))


def row_bytes(hidden, way):
    return hidden * (1 + 4 / 128) if way == "dispatch" else hidden * 2


def normal(rows, systems, nodes, way):
    """[(tokens, top-k, experts, hidden, SMs, us)]"""
    return [(int(r["num_token"]), int(r["num_topk"]), int(r["num_experts"]), int(r["hidden_size"]), int(r[way + "_sms"]),
             float(r[way + "_transmit_us"])) for r in rows
            if r["system"] in systems and r["node_num"] == str(nodes) ]


def in_node(p, x, way, link):
    tokens, top_k, experts, hidden, sms, _ = x
    copies, b = tokens * distinct(top_k, experts, 8, 1), row_bytes(hidden, way)
    sent = copies * 7 / 8 * b
    fill = p["fill"] * sent / (sent + p["fill_size"])
    return p["call"] + HOP + fill + max(copies * (p["row"] + b / p["nvlink_per_sm"]) / sms, sent / (p["share"] * link))


def across(p, x, way, nodes, inside, link):
    tokens, top_k, experts, hidden, sms, _ = x
    b = row_bytes(hidden, way)
    crossings = tokens * distinct(top_k, experts, nodes, nodes) * (nodes - 1) / nodes
    copies = tokens * distinct(top_k, experts, 8 * nodes, nodes)
    copied = p["forwarding"] * copies * (inside["row"] + b / inside["nvlink_per_sm"]) / sms
    times = crossings * b / (SHARE[way] * NIC), max(copied, copies * 7 / 8 * b / (inside["share"] * link))
    return inside["call"] + HOP + WIRE + p["step"] + max(times) + min(times) * min(1, p["piece"] / tokens)


def fit(predict, start, data):
    names = list(start)

    def named(v):
        return {k: math.exp(x) for k, x in zip(names, v)}

    def loss(v):
        p = named(v)
        if p.get("share", 0) > 1:
            return 1e9
        return sum(abs(math.log(predict(p, x) / x[-1])) for x in data) / len(data)

    v = [math.log(x) for x in start.values()]
    for _ in range(4):
        v = nelder_mead(loss, v, 400)
    return named(v)


def report(name, predict, start, data, key, tokens):
    p = fit(predict, start, data)
    keys = sorted({key(x) for x in data})
    kept = [x for x in data if keys.index(key(x)) % 2 == 0]
    left = [x for x in data if keys.index(key(x)) % 2 == 1]
    q = fit(predict, start, kept)
    print("%s: %s; held out:" % (name, {k: float("%.3g" % v) for k, v in p.items()}))
    for few in (True, False):
        describe("  %s %d tokens" % ("below" if few else "from", MANY), [predict(q, x) / x[-1] - 1 for x in left if (tokens(x) < MANY) == few])
    sys.stdout.flush()
    return p


def describe(name, errors):
    if errors:
        e = sorted(map(abs, errors))
        print("%s: n %d, median |error| %.1f %%, p90 %.1f %%, bias %+.1f %%" %
              (name, len(e), 100 * e[len(e) // 2], 100 * e[int(0.9 * (len(e) - 1))], 100 * sum(errors) / len(errors)))


def main():
    folder, system = sys.argv[1], sys.argv[2]
    rows = read(folder + "/moe_deepep_normal_aiconfigurator.csv")
    for way in ("dispatch", "combine"):
        inside = report("in the node, " + way, lambda p, x: in_node(p, x, way, LINK[system]),
                        {"call": 25.0, "row": 0.1, "nvlink_per_sm": 25e3, "share": 0.65, "fill": 5.0, "fill_size": 5e6}, normal(rows, [system], 1, way),
                        lambda x: x[1:4], lambda x: x[0])
        data = [(nodes, *x) for nodes in (2, 8) for x in normal(rows, ["h100_or_h200"], nodes, way)]

        def outside(p, x):
            return across(p, x[1:], way, x[0], inside, LINK[system])

        p = report("2 nodes, " + way, outside, {"step": 10.0, "forwarding": 1.5, "piece": 150.0}, [x for x in data if x[0] == 2], lambda x: x[1],
                   lambda x: x[1])
        for least, most in ((1, MANY - 1), (MANY, 4096), (4097, 1 << 20)):
            describe("  8 nodes, nothing fitted, %d to %d tokens" % (least, most),
                     [outside(p, x) / x[-1] - 1 for x in data if x[0] == 8 and least <= x[1] <= most])
    low = read(folder + "/moe_deepep_ll_aiconfigurator.csv")
    for nodes, systems, link in ((1, [system], LINK[system]), (2, ["h100_or_h200"], NIC), (8, ["h100_or_h200"], NIC)):
        data = [(int(r["num_token"]) * int(r["num_topk"]) * row_bytes(int(r["hidden_size"]), way), float(r[way + "_avg_t_us"])) for r in low
                for way in ("dispatch", "combine") if r["system"] in systems and r["node_num"] == str(nodes)]
        leave = 7 / 8 if nodes == 1 else 1 - 1 / nodes
        report("low latency, %d nodes" % nodes, lambda p, x: p["call"] + x[0] * leave / (p["share"] * link), {"call": 15.0, "share": 0.5}, data,
               lambda x: x[0], lambda x: MANY)


main()
