"""Tables of the true-size benchmark, for the terminal and for docs/performance.md."""

from __future__ import annotations

import statistics
from typing import Any

from marked_tables import origin, table

STAGES = ("start", "read", "localise", "model", "preprocess", "network", "export", "checks", "write", "other")
STAGE_TEXTS = {
    "start": "start: Python, imports",
    "localise": "localise",
    "model": "models, loaded within the case",
    "preprocess": "preprocessing",
    "network": "network",
    "export": "export to the CT's grid",
}
CT_TEXTS = {"one-leg": "One leg", "both-legs": "Both legs"}
STOCK, PEER, OURS, EXHAUSTIVE = (
    "nnUNetv2_predict",
    "TotalSegmentator",
    "nnfemur predict",
    "nnfemur predict --exhaustive",
)


def medians(results: dict[str, Any], ct: str) -> dict[str, dict[str, Any]]:
    """Return the medians over the rounds of every way on a CT: seconds, windows, memory.

    Args:
        results: Results of the benchmark.
        ct: Name of the CT.
    """
    ways: dict[str, list[dict[str, Any]]] = {}
    for row in results["rows"]:
        if row["ct"] == ct:
            ways.setdefault(row["way"], []).append(row)
    found, device = {}, results["settings"]["device"]
    for way, rows in ways.items():
        values: dict[str, Any] = {}
        for key in ("wall_s", "processor_s", "gib", "gpu_gib", "windows", "windows_localise", "windows_of"):
            known = [row[key] for row in rows if row.get(key) is not None]
            values[key] = statistics.median(known) if known else None
        for stage in STAGES:
            times = [row["stages_s"].get(stage, 0.0) for row in rows]
            values[stage] = statistics.median(times) if any(times) else None
        values["case_s"] = statistics.median(row["wall_s"] - row["stages_s"]["start"] for row in rows)
        # On GPUs, nnU-Net's own predictor computes under an autocast to float16, also within TotalSegmentator.
        values["backend"] = rows[-1].get("backend", f"torch, {'float32' if device == 'cpu' else 'float16'}")
        found[way] = values
    return found


def tables(results: dict[str, Any]) -> str:
    """Return a table for each CT, with the goals' ratios and the origin of the figures below.

    Args:
        results: Results of the benchmark.
    """
    parts = []
    size = results["settings"]["size"]
    for ct, text in CT_TEXTS.items():
        ways = medians(results, ct)
        if not ways:
            continue
        z, y, x = size["ct_zyx"]
        shape = (z, y, x * (2 if ct == "both-legs" else 1))
        rounds = results["settings"]["rounds"]
        parts.append(
            f"**{text}**, {' x '.join(map(str, shape))} voxels of "
            f"{' x '.join(f'{mm:g}' for mm in size['ct_mm_zyx'])} mm, seconds of wall time, "
            + ("one run:" if rounds == 1 else f"medians of {rounds}:")
        )
        parts.append(_of_ct(ways, results["settings"]["masks"].get(ct, {})))
    return "\n\n".join([*parts, origin(results)])


def _of_ct(ways: dict[str, dict[str, Any]], masks: dict[str, dict[str, Any]]) -> str:
    """Return the table of one CT: a row for each stage and quantity, a column for each way."""
    rows = [[STAGE_TEXTS.get(each, each), *(_seconds(values[each]) for values in ways.values())] for each in STAGES]
    for text, key in (("**whole process**", "wall_s"), ("of it the case", "case_s"), ("processor time", "processor_s")):
        rows.append([text, *(_seconds(values[key]) for values in ways.values())])
    for peer in (each for each in (STOCK, PEER) if each in ways):
        for text, key in (("process", "wall_s"), ("case", "case_s")):
            ratios = (f"{ways[peer][key] / values[key]:.2f}" for values in ways.values())
            rows.append([f"{peer}'s {text} / this", *ratios])
    rows.append(["windows", *(_windows(values) for values in ways.values())])
    rows.append(["network runs in", *(values["backend"] for values in ways.values())])
    rows.append(["peak memory (GiB)", *(_gib(values["gib"]) for values in ways.values())])
    rows.append(["peak memory of the GPU (GiB)", *(_gib(values["gpu_gib"]) for values in ways.values())])
    found = [masks.get(way) for way in ways]
    rows.append(["Dice to the phantom; of the largest piece", *(_dice(each) for each in found)])
    rows += [
        [f"voxels unlike {base}'s, within 25 mm", *(_differs(each, base) for each in found)]
        for base in (EXHAUSTIVE, STOCK)
    ]
    return table(["", *ways], [row for row in rows if any(row[1:])])


def _gib(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"


def _windows(values: dict[str, Any]) -> str | None:
    if values["windows"] is None:
        return None
    text = f"{values['windows']:.0f}"
    if values["windows_of"]:
        text += f" of {values['windows_of']:.0f}"
    return text + (f", {values['windows_localise']:.0f} at 6 mm" if values["windows_localise"] else "")


def _dice(mask: dict[str, Any] | None) -> str | None:
    if mask is None or mask["dice"] is None:
        return None
    return f"{mask['dice']:.3f}, {mask['dice_largest']:.3f}"


def _differs(mask: dict[str, Any] | None, base: str) -> str | None:
    found = (mask or {}).get("differs", {}).get(base)
    if found is None or found["near"] is None:
        return None
    return "0" if found["near"] == 0 else f"{found['near']:.1e}"
