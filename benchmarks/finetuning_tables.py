"""Tables of ``finetuning.py`` from its results: harm, recipes, the line between source and result, learning curves."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pandas as pd
from marked_tables import table, write_results

from nnunet_femur.atomic_files import write_text
from nnunet_femur.comparison.report.tables.model import p_value
from nnunet_femur.comparison.statistics.claims import Claim, claim_better

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

SOURCE, LAST, FINAL = "source", "last", "final"
OURS = "ours"
KEYS = ("source", "recipe")
LINE = ("source", "alpha 0.25", "alpha 0.5", "alpha 0.75", "last")


def write_tables(work: Path, results: Sequence[dict[str, Any]]) -> str:
    """Write all tables as Markdown, those of each length of training apart, and the results as JSON.

    Returns:
        The Markdown.
    """
    budgets = _grouped(results, "budget")
    text = "\n\n".join(f"# {budget}\n\n{_tables(of_budget)}" for (budget,), of_budget in budgets.items())
    write_text(work / "finetuning.md", text + "\n")
    write_results(work / "finetuning.json", "finetuning", results)
    return text


def _tables(results: Sequence[dict[str, Any]]) -> str:
    """Return the tables of trainings of equal length."""
    complete = [each for each in results if each["training_cases"] is None]
    parts = {
        "Harm, by seed": harm_by_seed(complete),
        "Harm, over all seeds": harm(complete),
        "Recipes": recipes(complete),
        "Between source and last weights": line(complete),
        "Learning curve": curve(results),
    }
    return "\n\n".join(f"## {title}\n\n{content}" for title, content in parts.items() if content)


def dice(results: Iterable[dict[str, Any]], weights: str) -> pd.Series:
    """Return the Dice of each test case by some weights, averaged over trainings that share the case."""
    found: dict[str, list[float]] = defaultdict(list)
    for each in results:
        for case, (value, _) in zip(each["cases"], each["scores"].get(weights, []), strict=False):
            found[f"{each['drop']}/{case}"].append(value)
    return pd.Series({case: sum(values) / len(values) for case, values in found.items()}, name=weights, dtype=float)


def harm_by_seed(results: Sequence[dict[str, Any]]) -> str:
    """Return a row for each fine-tuning from a kept head: mean test Dice of source, last and chosen weights."""
    header = ("source, recipe, seed", "source", "last", "chosen", "which", "last - source", "chosen - source")
    rows = []
    for each in _with_source(results):
        source, last, final = (dice([each], weights).mean() for weights in (SOURCE, LAST, FINAL))
        title = f"{each['source']}, {each['recipe']}, {each['seed']}"
        which = each["choice"]["chosen"]
        rows.append((title, *map(_four, (source, last, final)), which, _signed(last - source), _signed(final - source)))
    return table(header, rows) if rows else ""


def harm(results: Sequence[dict[str, Any]]) -> str:
    """Return, for each source and recipe, what the last and the chosen weights gain over the source."""
    header = (
        "source, recipe, weights",
        "seeds",
        "cases",
        "gain over the source",
        "95 % interval",
        "false",
        "worst seed",
    )
    rows = []
    for (name, recipe), group in _grouped(_with_source(results), "source", "recipe").items():
        for weights in (LAST, FINAL):
            claim = claim_better(dice(group, weights), dice(group, SOURCE), ideal=1)
            worst = min(dice([each], weights).mean() - dice([each], SOURCE).mean() for each in group)
            title = f"{name}, {recipe}, {'chosen' if weights == FINAL else weights}"
            rows.append((title, len(group), claim.n, *_of_claim(claim), _signed(worst)))
    return table(header, rows) if rows else ""


def recipes(results: Sequence[dict[str, Any]]) -> str:
    """Return, for each source, the final Dice of each recipe and its gain over ours, by the seeds that both have."""
    header = ("source, recipe", "Dice", "lowest", "steps", "processor (s)", "gain over ours", "95 % interval", "false")
    rows = []
    for (name,), of_source in _grouped(results, "source").items():
        ours = {each["seed"]: each for each in of_source if each["recipe"] == OURS}
        for (recipe,), group in _grouped(of_source, "recipe").items():
            shared = [each for each in group if each["seed"] in ours]
            final = dice(group, FINAL)
            cells: tuple[Any, ...] = ("–", "–", "–", "–")
            if recipe != OURS and shared:
                against = dice([ours[each["seed"]] for each in shared], FINAL)
                claim = claim_better(dice(shared, FINAL), against, ideal=1)
                gains = [dice([each], FINAL).mean() - dice([ours[each["seed"]]], FINAL).mean() for each in shared]
                cells = (*_of_claim(claim), ", ".join(map(_signed, gains)))
            steps, seconds = (sum(each[key] for each in group) / len(group) for key in ("steps", "processor_s"))
            numbers = (_four(final.mean()), _four(final.min()), f"{steps:.0f}", f"{seconds:.0f}")
            rows.append((f"{name}, {recipe}", *numbers, *cells))
    return table((*header, "by seed"), rows) if rows else ""


def line(results: Sequence[dict[str, Any]]) -> str:
    """Return the mean test Dice on the straight line between the source and the last weights."""
    rows = [
        (f"{name}, {recipe}", *(_four(dice(group, weights).mean()) for weights in LINE))
        for (name, recipe), group in _grouped([each for each in results if LINE[1] in each["scores"]], *KEYS).items()
    ]
    return table(("source, recipe", *LINE), rows) if rows else ""


def curve(results: Sequence[dict[str, Any]]) -> str:
    """Return the mean final test Dice of each recipe by its number of training cases, with the range over seeds."""
    sizes = sorted({each["training_cases"] for each in results} - {None})
    groups = _grouped([each for each in results if each["training_cases"] is not None], "source", "recipe")

    def cell(group: list[dict[str, Any]], size: int) -> str | None:
        means = [dice([each], FINAL).mean() for each in group if each["training_cases"] == size]
        if not means:
            return None
        return f"{sum(means) / len(means):.4f} ({min(means):.4f} to {max(means):.4f})"

    rows = [(", ".join(names), *(cell(group, size) for size in sizes)) for names, group in groups.items()]
    return table(("source, recipe", *(f"{size} cases" for size in sizes)), rows) if rows else ""


def _with_source(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in results if SOURCE in each["scores"]]


def _grouped(results: Iterable[dict[str, Any]], *keys: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    found: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for each in results:
        found[tuple(each[key] for key in keys)].append(each)
    return dict(found)


def _of_claim(claim: Claim) -> tuple[str, str, str]:
    """Return the cells of a claim: gain, interval, and probability that the claim of a gain is false."""
    if claim.interval is None or claim.false is None:
        return _signed(claim.gain), "–", "–"
    interval = f"{_signed(claim.interval.low)} to {_signed(claim.interval.high)}"
    return _signed(claim.gain), interval, str(p_value(claim.false))


_four: Callable[[float], str] = "{:.4f}".format
_signed: Callable[[float], str] = "{:+.4f}".format
