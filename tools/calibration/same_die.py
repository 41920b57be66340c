#!/usr/bin/env python3
"""The profile of a GPU of which no kernel was measured, from that of a GPU with the same die and another memory.

    tools/calibration/same_die.py configs/calibration/h100_sxm_80gb.json configs/gpus/h200_sxm_141gb.json configs/calibration/h200_sxm_141gb.json

Name, peak, memory and its bandwidth are the second file's, all else the first's; every kind of residual says on which GPU it was measured, so that
forecasts are marked as extrapolated. What a pass reaches in the cache is its kernel's own limit: it stays, in bytes per second, and a faster memory
brings the pass no further than that.
"""
import json
import sys
from pathlib import Path

UNITS = {"TB/s": 1e12, "GB/s": 1e9}


def rate(text):
    value, unit = text.split()
    return float(value) * UNITS[unit]


def rounded(value):
    return float(f"{value:.4g}")


def scaled_passes(passes, ratio):
    """`ratio`: the old memory's bandwidth over the new one's. Shares are of the memory's bandwidth."""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in passes.items()}
    for kind, share in passes["cache"].items():
        if kind in ("size", "source"):
            continue
        if share < 1:   # 1: held at the memory's specification, the cache is faster still
            result["cache"][kind] = rounded(share * ratio)
            result[kind] = rounded(min(passes[kind], share * ratio))
    return result


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    measured_path, specification_path, out = (Path(path) for path in sys.argv[1:])
    measured, specification = (json.loads(path.read_text()) for path in (measured_path, specification_path))
    profile = dict(measured)
    for key in ("name", "peak", "memory_bandwidth", "memory", "streaming_multiprocessors"):
        profile[key] = specification[key]
    profile["source"] = (f"Specification of {specification_path} ({specification['source']}). No kernel of this GPU is among the published times; its SMs are "
                         f"those of {measured['name']}, so constants and residuals are of {measured_path}, and forecasts by them are marked as extrapolated")
    profile["pass"] = scaled_passes(measured["pass"], rate(measured["memory_bandwidth"]) / rate(specification["memory_bandwidth"]))
    record = profile["calibration"]
    record["provenance"]["command"] = f"tools/calibration/same_die.py {measured_path} {specification_path} {out}, after: {record['provenance']['command']}"
    record["kinds"] = [{"kind": kind["kind"], "measured_on": measured["name"], **{k: v for k, v in kind.items() if k != "kind"}} for kind in record["kinds"]]
    text = json.dumps(profile, indent=2, ensure_ascii=False) + "\n"
    partial = out.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(out)


if __name__ == "__main__":
    main()
