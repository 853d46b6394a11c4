"""Model cards of the compared methods, from the files beside their networks and the scores of the comparison.

``nnfemur export`` writes a card with a model for others to use; these cards describe the methods of a publication.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nnunet_femur.comparison.grouping import Measure
from nnunet_femur.comparison.plain_values import plain
from nnunet_femur.comparison.report.report_data import DICE, file_name, measure_title
from nnunet_femur.comparison.report.tables.training_tables import state_of
from nnunet_femur.comparison.supplement.pages import Bullets, Grid, Heading, Page, Paragraph, pairs, to_fill_in
from nnunet_femur.comparison.supplement.phrases import code, dimensions, score_text
from nnunet_femur.comparison.supplement.training_phrases import derivation_of, final_network_of, network_of
from nnunet_femur.weights.model_statements import ENDS_ONLY, LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.supplement.method_facts import MethodFacts
    from nnunet_femur.comparison.supplement.pages import Block
    from nnunet_femur.comparison.supplement.study_facts import StudyFacts
    from nnunet_femur.comparison.training_curves import TrainingCurve

_SCORES = (DICE, *(Measure("volume", "all", "whole", metric) for metric in ("hd95", "assd", "nsd2")))
"""Scores of a card."""

_PHANTOMS = "All cases are synthetic phantoms. The scores do not carry over to patients."


def method_card_pages(facts: StudyFacts) -> list[Page]:
    """Return a page for each method, in the order of the report."""
    return [
        Page(
            name=file_name("card", method.method.replace("/", "_")),
            title=f"Model card: {method.name}",
            blocks=tuple(_blocks(method, facts)),
        )
        for method in facts.methods
    ]


def _blocks(method: MethodFacts, facts: StudyFacts) -> Iterator[Block]:
    yield Heading("Model")
    yield pairs([*_model(method)])
    yield Heading("Training data")
    yield pairs([*_data(method, facts)])
    if method.derivation:
        yield Paragraph(derivation_of(method))
    if method.trainer:
        yield Heading("Training")
        yield from _training(method)
    yield Heading("Scores")
    yield from _scores(method, facts)
    yield Heading("Limits")
    yield Bullets(tuple(_limits(method, facts)))
    yield Heading("Weights and licence")
    yield Paragraph(_licence(method))


def _model(method: MethodFacts) -> Iterator[tuple[str, str]]:
    configuration = method.configuration
    yield "task", "segmentation of the femur in CT"
    yield "name in scores.csv", code(method.method)
    if method.trainer:
        yield "trainer", code(method.trainer)
    if network := network_of(method):
        yield "network", network
    parameters = method.first("parameters")
    if parameters:
        yield "parameters", f"{parameters:,}"
    if "spacing" in configuration:
        yield "input", f"one channel, CT in HU, at {dimensions(configuration['spacing'])} mm (array axes)"
    if method.traits.in_slices and "slice_size" in method.recipe:
        yield "training slices", f"{dimensions(method.recipe['slice_size'])} pixels"
    elif "patch_size" in configuration and not method.traits.in_slices:
        yield "window", f"{dimensions(configuration['patch_size'])} voxels"
    if method.folds:
        yield "trained folds", ", ".join(method.folds)
    yield "predicts", "slices of three planes or one" if method.traits.in_slices else "volumes"
    for weights in method.baseline_weights:
        yield "weights", f"{code(str(weights.get('dataset')))}, SHA-256 {code(str(weights.get('sha256')))}"


def _data(method: MethodFacts, facts: StudyFacts) -> Iterator[tuple[str, str]]:
    if not method.trainer:
        yield "training data", "that of its members" if method.derivation else "not of this study"
        return
    dataset = next(one for one in facts.datasets if one.name == method.dataset)
    yield "dataset", code(dataset.name) + (" (synthetic phantoms)" if dataset.phantoms else "")
    for fold in method.folds:
        if fold.isdecimal() and int(fold) < len(dataset.folds):
            train, validation = dataset.folds[int(fold)]
            yield f"cases of fold {fold}", f"{train} for training, {validation} for validation"
    labels = dataset.description.get("labels")
    if isinstance(labels, dict):
        yield "labels", ", ".join(f"{name} {value}" for name, value in labels.items())
    asked = {"patients, scanners and protocols": (7, 13), "reference masks": (14, 16)}
    for title, numbers in asked.items():
        own = " ".join(facts.answers[number] for number in numbers if number in facts.answers)
        yield title, own or ("generated" if dataset.phantoms else to_fill_in())


def _training(method: MethodFacts) -> Iterator[Block]:
    recipe = method.recipe
    if recipe:
        yield pairs([(str(name), plain(value)) for name, value in recipe.items()], ("hyperparameter", "value"))
    else:
        yield Paragraph(f"The hyperparameters are those of the class {code(method.trainer)}; no run.json was found.")
    if method.curves:
        yield Grid(
            ("fold", "epochs", "minutes", "last training loss", "last pseudo Dice", "state of the training loss"),
            tuple(_curve_row(curve) for curve in method.curves),
            (0.08, 0.1, 0.11, 0.17, 0.17, 0.27),
        )
    kept = final_network_of(method)
    yield Paragraph(f"Final network: {kept}" if kept else f"Choice of the final network: {to_fill_in()}")


def _curve_row(curve: TrainingCurve) -> tuple[str, ...]:
    loss, dice = (values[-1] if values else math.nan for values in (curve.train_loss, curve.pseudo_dice))
    fall = "" if curve.fall is None else f" ({100 * curve.fall:.1f} % per epoch)"
    return (
        curve.fold,
        str(curve.epochs),
        "–" if curve.minutes is None else f"{curve.minutes:.1f}",
        "–" if math.isnan(loss) else f"{loss:.4f}",
        "–" if math.isnan(dice) else f"{dice:.3f}",
        f"{state_of(curve)}{fall}",
    )


def _scores(method: MethodFacts, facts: StudyFacts) -> Iterator[Block]:
    by_set: dict[str, dict[str, str]] = {}
    cases: dict[str, int] = {}
    for measure in _SCORES:
        for title, detail, summary in facts.summaries(method.method, measure):
            row = f"{title}, {detail}" if detail else title
            by_set.setdefault(row, {})[measure_title(measure)] = score_text(summary)
            cases[row] = max(cases.get(row, 0), summary.n)
    titles = list(dict.fromkeys(title for scores in by_set.values() for title in scores))
    if not by_set:
        yield Paragraph("No score of the whole femur: the method was scored on the femur’s ends alone.")
        return
    yield Grid(
        ("set", "cases", *titles),
        tuple((row, str(cases[row]), *(scores.get(title, "–") for title in titles)) for row, scores in by_set.items()),
        (0.15, 0.07, *(0.66 / len(titles) for _ in titles)),
    )
    yield Paragraph("Mean ± standard deviation over cases, and the 95 % interval of the mean over patients.")
    if facts.phantoms:
        yield Paragraph(_PHANTOMS)


def _limits(method: MethodFacts, facts: StudyFacts) -> Iterator[str]:
    if method.traits.ends_only:
        yield ENDS_ONLY
    if facts.phantoms:
        yield _PHANTOMS
    if any(curve.still_falling for curve in method.curves):
        yield "The training loss was still falling when the training ended."
    yield from LIMITS


def _licence(method: MethodFacts) -> str:
    if method.is_baseline:
        if method.has_dummy_weights:
            return (
                "**Dummy weights** in the place of TotalSegmentator’s, made from phantoms by nnunet_femur for tests "
                "and demonstrations. **Never use this model on a patient’s CT.**"
            )
        return (
            "Weights of TotalSegmentator (Wasserthal et al., Radiology: Artificial Intelligence 2023); those of its "
            "task `total` have the licence Apache-2.0."
        )
    if method.derivation:
        return "Those of its members."
    if not method.trainer:
        return to_fill_in("origin and licence of these masks")
    start = to_fill_in("initial weights") if "not known" in method.start else method.start
    return f"Initial weights: {start} Licence of this model: {to_fill_in('licence')}"
