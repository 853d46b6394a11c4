"""Tables of calibration: how well the predicted probabilities of femur agree with the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.calibration.calibrating_predictions import PROTOCOL
from nnunet_femur.comparison.calibration.case_reliability import IMAGE, SURROUNDINGS, SURROUNDINGS_MM
from nnunet_femur.comparison.grouping import Measure
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.report.tables.model import (
    DIGITS,
    GAP,
    Cell,
    Column,
    Row,
    Table,
    count,
    interval_text,
    signed,
    with_deviation,
)
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries
from nnunet_femur.comparison.statistics.descriptive import summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.report_data import ReportData

REGION = f"Within {SURROUNDINGS_MM:g} mm of the femur"
"""Name of the surroundings."""

NOTE = (
    "P(femur) is the predicted probability, or 1 minus that of background. ECE: expected calibration error, the mean "
    "over voxels of |mean P(femur) − share of femur| of their bin (15 bins of equal width). Brier: mean of (P(femur) − "
    "reference)². Bias: mean of P(femur) minus share of femur. 0 is best for all of them. Mean ± standard deviation "
    "over the n cases with probabilities. "
    f"“{REGION}”: voxels at most that far from the reference femur along each axis, the femur included. Most voxels of "
    "the whole image are background far from the bone, so its numbers are small for every network."
)


def ece_measure(region: str) -> Measure:
    """Return the measure of the expected calibration error in a region."""
    return Measure(PROTOCOL, "all", region, "ece")


def calibrated_entries(group: Group) -> list[Entry]:
    """Return the methods of a group with probabilities of at least one case."""
    return [entry for entry in whole_femur_entries(group) if entry.column(ece_measure(IMAGE)).notna().any()]


def calibration_tables(data: ReportData) -> Iterator[Table]:
    """Yield a table for every group in which a method has probabilities."""
    for group in data.groups:
        entries = calibrated_entries(group)
        if not entries:
            continue
        without = len(whole_femur_entries(group)) - len(entries)
        missing = f" Methods without probabilities: {without}." if without else ""
        yield Table(
            name=file_name("calibration", group.dataset, group.key),
            section=sections.CALIBRATION,
            title=f"{group.title}: calibration of probabilities",
            columns=(
                Column("n"),
                Column("ECE", REGION),
                Column("95 % CI of ECE", REGION, unit=""),
                Column("Brier", REGION),
                Column("bias", REGION),
                Column("ECE", "Whole image"),
                Column("Brier", "Whole image"),
            ),
            rows=tuple(_row(entry) for entry in entries),
            note=f"{NOTE}{missing}",
        )


def _row(entry: Entry) -> Row:
    found = {
        (region, metric): summarise(entry, Measure(PROTOCOL, "all", region, metric))
        for region in (SURROUNDINGS, IMAGE)
        for metric in ("ece", "brier", "bias")
    }
    near = found[SURROUNDINGS, "ece"]
    interval = GAP if near.interval is None else Cell(interval_text(*near.interval, DIGITS))
    means = {key: with_deviation(one.mean, one.sd) for key, one in found.items()}
    return Row(
        entry.name,
        (
            count(found[IMAGE, "ece"].n),
            means[SURROUNDINGS, "ece"],
            interval,
            means[SURROUNDINGS, "brier"],
            signed(found[SURROUNDINGS, "bias"].mean, DIGITS),
            means[IMAGE, "ece"],
            means[IMAGE, "brier"],
        ),
        detail=entry.detail,
    )
