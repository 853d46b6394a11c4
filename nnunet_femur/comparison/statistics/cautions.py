"""Cautions about the statistics of a group: their limits, and the facts that a reader needs to interpret them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nnunet_femur.comparison.statistics.paired_tests import smallest_p

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.grouping import Group
    from nnunet_femur.comparison.statistics.descriptive import Summary
    from nnunet_femur.comparison.statistics.paired_tests import PairTest

SIGNIFICANT = 0.05
"""Significance level of the paired tests."""

FEW_PATIENTS = 6
"""Smallest number of patients for which an exact paired test can reach :data:`SIGNIFICANT`: 2 / 2^5 is 0.0625."""


class Caution(NamedTuple):
    """A limit of what statistics show.

    Attributes:
        code: Stable name, such as "few-patients"; programs may compare it.
        text: One or more sentences for the reader.
    """

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


def cautions_of(group: Group, summaries: Sequence[Summary], pairs: Sequence[PairTest]) -> Iterator[Caution]:
    """Yield the cautions for one measure of a group.

    Args:
        group: The methods compared.
        summaries: The summary of each method, at least one.
        pairs: The paired tests of all pairs of methods.
    """
    patients = min(summary.patients for summary in summaries)
    smallest = smallest_p(patients)
    if patients < FEW_PATIENTS:
        yield Caution(
            "few-patients",
            f"With {patients} patient{'' if patients == 1 else 's'}, the smallest possible p-value of an exact paired "
            f"test is {smallest:.3g}, so no difference between methods can be significant at the 5 % level. Intervals "
            f"and ranks describe these cases only. At least {FEW_PATIENTS} patients are needed.",
        )
    elif pairs and smallest * len(pairs) > SIGNIFICANT:
        yield Caution(
            "many-pairs",
            f"With {patients} patients and {len(pairs)} pairs of methods, the smallest possible p-value after Holm’s "
            f"correction is {min(1.0, smallest * len(pairs)):.2g}, so no difference can be significant at the 5 % "
            "level. Compare fewer methods, or use more patients.",
        )
    if any(summary.n > summary.patients for summary in summaries):
        yield Caution(
            "several-cases",
            "Some patients have several cases. Intervals resample whole patients; tests and ranks use the mean score "
            "of each patient; mean, standard deviation and quartiles count every case.",
        )
    if not group.same_cases:
        yield Caution(
            "different-cases",
            "The methods were scored on different cases, so their means are not comparable. Tests and ranks use the "
            "patients that the methods have in common.",
        )
    if len({entry.folds for entry in group.entries if entry.folds != ("none",)}) > 1:
        yield Caution(
            "different-folds",
            "The methods were predicted by different folds. An ensemble usually scores higher than its folds, and a "
            "mean over more folds varies less.",
        )
    if not all(entry.even for entry in group.entries):
        yield Caution(
            "uneven-folds",
            "Some cases were predicted by fewer folds than others; their score is the mean over these folds.",
        )
    if undefined := sum(summary.undefined for summary in summaries):
        yield Caution(
            "undefined-scores", f"Scores left out because the policy for empty masks does not define them: {undefined}."
        )
    if any("normal approximation" in pair.how for pair in pairs):
        yield Caution(
            "approximate-p", "Some p-values are normal approximations, because of many patients or tied differences."
        )
