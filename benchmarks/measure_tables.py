"""Statistics, goals and tables of benchmarks/measure.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    Row = dict[str, object]

_PERCENT = {"volume_ml", "surface_area_cm2", "neck_area_mm2", "shaft_area_mid_mm2"}
HALVES = ("tuning", "held out", "all")


@dataclass(frozen=True)
class Goal:
    """Limits of one statistic of the errors of a quantity.

    Attributes:
        key: The quantity.
        statistic: "mean" or "max" of the absolute error, "SD", or "bias".
        limits: Spacing -> (limit that must hold, ambitious limit).
    """

    key: str
    statistic: str
    limits: dict[str, tuple[float, float]]


def _limits(fine: tuple[float, float], coarse: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return {"1x1x1": fine, "2x2x3": coarse}


GOALS = (
    Goal("head_center_mm_lps", "mean", {**_limits((0.1, 0.05), (0.2, 0.12)), "4x4x5": (0.5, 0.35)}),
    Goal("head_radius_mm", "mean", _limits((0.1, 0.07), (0.3, 0.2))),
    Goal("neck_shaft_angle_deg", "SD", _limits((0.25, 0.1), (0.5, 0.35))),
    Goal("version_neck_deg", "SD", _limits((0.5, 0.25), (0.8, 0.55))),
    Goal("version_neck_deg", "max", {"1x1x1": (1.0, 1.0)}),
    Goal("version_murphy_deg", "SD", _limits((0.7, 0.4), (0.9, 0.6))),
    Goal("version_head_shaft_deg", "SD", _limits((0.7, 0.4), (0.9, 0.6))),
    Goal("anatomical_mechanical_angle_deg", "SD", _limits((0.3, 0.1), (0.6, 0.6))),
    Goal("mldfa_deg", "SD", _limits((0.3, 0.2), (0.6, 0.5))),
    Goal("length_longest_mm", "SD", _limits((1.0, 0.3), (2.0, 0.7))),
    Goal("volume_ml", "mean", _limits((0.3, 0.3), (0.5, 0.5))),
)


def statistics_of(rows: Iterable[Row]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Return half -> spacing -> quantity -> statistics of its errors."""
    groups: dict[tuple[str, str, str], list[float | None]] = {}
    for row in rows:
        for half in (str(row["half"]), "all"):
            error = row["error"]
            groups.setdefault((half, str(row["spacing"]), str(row["key"])), []).append(
                None if error is None else float(str(error))
            )
    result: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (half, spacing, key), errors in groups.items():
        found = np.array([error for error in errors if error is not None])
        entry: dict[str, float] = {"n": len(errors), "missing": len(errors) - len(found)}
        if len(found):
            size = np.abs(found)
            entry |= {
                "bias": float(found.mean()),
                "SD": float(found.std(ddof=1)) if len(found) > 1 else 0.0,
                "mean": float(size.mean()),
                "p95": float(np.quantile(size, 0.95)),
                "max": float(size.max()),
            }
        result.setdefault(half, {}).setdefault(spacing, {})[key] = entry
    return result


def goals_table(statistics: dict[str, dict[str, dict[str, dict[str, float]]]]) -> list[Row]:
    """Return each goal with the value of each half, and whether it is met; the held-out half decides if it is there."""
    rows: list[Row] = []
    decisive = "held out" if "held out" in statistics else "all"
    for goal in GOALS:
        for spacing, (must, ambitious) in goal.limits.items():
            values = {
                half: statistics[half].get(spacing, {}).get(goal.key, {}).get(goal.statistic)
                for half in HALVES
                if half in statistics
            }
            value = values.get(decisive)
            if all(each is None for each in values.values()) and spacing not in statistics["all"]:
                continue
            rows.append(
                {
                    "key": goal.key,
                    "statistic": goal.statistic,
                    "spacing": spacing,
                    "must": must,
                    "ambitious": ambitious,
                    "values": values,
                    "must_met": value is not None and value <= must,
                    "ambitious_met": value is not None and value <= ambitious,
                }
            )
    return rows


def markdown(results: dict[str, object]) -> str:
    """Return all results as Markdown."""
    lines = [f"{results['bones']} bones of {results['source']}; {results['machine']}.", ""]
    for name, table in (
        ("goals", _goals),
        ("accuracy", _accuracy),
        ("invariance", _invariance),
        ("sides", _sides),
        ("refusals", _refusals),
        ("times", _times),
    ):
        if name in results:
            lines += [f"## {name.capitalize()}", "", *table(results[name]), ""]
    return "\n".join(lines)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    return ["| " + " | ".join(each) + " |" for each in (head, ["---"] * len(head), *rows)]


def _number(value: object) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _goals(goals: list[Row]) -> list[str]:
    return _table(
        ["quantity", "statistic", "spacing (mm)", *HALVES, "must", "ambitious", ""],
        (
            [
                str(goal["key"]),
                str(goal["statistic"]),
                str(goal["spacing"]),
                *(_number(goal["values"].get(half)) for half in HALVES),
                f"{goal['must']:g} {'met' if goal['must_met'] else 'MISSED'}",
                f"{goal['ambitious']:g}",
                "met" if goal["ambitious_met"] else "missed",
            ]
            for goal in goals
        ),
    )


def _accuracy(statistics: dict[str, dict[str, dict[str, dict[str, float]]]]) -> list[str]:
    lines = ["Bias ± SD (largest error); of positions and directions, mean (95th percentile; largest).", ""]
    for half in (h for h in HALVES if h in statistics):
        spacings = list(statistics[half])
        lines += [f"### {half.capitalize()}", ""]
        keys = [key for key in QUANTITIES if any(key in statistics[half][s] for s in spacings)]
        rows = [
            [f"{key}{' (%)' if key in _PERCENT else ''}", *(_cell(key, statistics[half][s].get(key)) for s in spacings)]
            for key in keys
        ]
        lines += [*_table(["quantity", *spacings], rows), ""]
    return lines


def _cell(key: str, entry: dict[str, float] | None) -> str:
    if entry is None or "bias" not in entry:
        return "–"
    lost = f", {entry['missing']} of {entry['n']} missing" if entry["missing"] else ""
    if QUANTITIES[key].is_vector:
        return f"{entry['mean']:.2f} ({entry['p95']:.2f}; {entry['max']:.2f}){lost}"
    return f"{entry['bias']:+.2f} ± {entry['SD']:.2f} ({entry['max']:.2f}){lost}"


def _invariance(found: dict[str, Row]) -> list[str]:
    lines = []
    for kind, entry in found.items():
        largest = sorted(entry["largest"].items(), key=lambda item: -item[1])
        text = ", ".join(f"{key} {value:.4f}" for key, value in largest[:8])
        lines.append(
            f"- {kind}: {entry['runs']} runs, {entry['wrong_sides']} with another side; largest changes {text}"
        )
    return lines


def _sides(found: Row) -> list[str]:
    return [", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in found.items())]


def _refusals(found: dict[str, dict[str, int]]) -> list[str]:
    rows = []
    for name, entry in found.items():
        keys = {k: v for k, v in entry.items() if k not in ("runs", "wrong", "crashes")}
        common = ", ".join(f"{key} ({count})" for key, count in sorted(keys.items(), key=lambda i: -i[1])[:6])
        rows.append([name, str(entry["runs"]), str(entry["wrong"]), str(entry["crashes"]), common])
    return _table(["mask", "runs", "wrong", "crashes", "most frequent"], rows)


def _times(found: dict[str, object]) -> list[str]:
    return [f"- {key}: {_number(value)}" for key, value in found.items()]
