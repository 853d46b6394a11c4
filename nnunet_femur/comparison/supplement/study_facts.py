"""All facts of a comparison that its supplement is written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.report_data import DICE
from nnunet_femur.comparison.supplement.dataset_facts import dataset_facts
from nnunet_femur.comparison.supplement.method_facts import method_facts
from nnunet_femur.comparison.training_curves import training_curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from nnunet_femur.comparison.discovery import Found
    from nnunet_femur.comparison.grouping import Entry, Measure
    from nnunet_femur.comparison.report.report import Report
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics
    from nnunet_femur.comparison.statistics.descriptive import Summary
    from nnunet_femur.comparison.statistics.endpoint_statistics import GroupEndpoints
    from nnunet_femur.comparison.supplement.dataset_facts import DatasetFacts
    from nnunet_femur.comparison.supplement.method_facts import MethodFacts


@dataclass(frozen=True)
class StudyFacts:
    """Facts of a comparison.

    Attributes:
        datasets: The datasets.
        methods: The methods.
        statistics: Statistics of each group of methods, in the order of the report.
        endpoints: Statistics of clinical measurements of each group; empty if nothing was measured.
        report: The report: policy for empty masks, cautions, headlines, and predictions that could not be scored.
        test: Name of the paired test.
        subgroups: Names of the covariates that divide the cases; empty without covariates.
        answers: Texts of the authors by number of the checklist's item.
    """

    datasets: tuple[DatasetFacts, ...]
    methods: tuple[MethodFacts, ...]
    statistics: Sequence[GroupStatistics]
    endpoints: Sequence[GroupEndpoints]
    report: Report
    test: str = "wilcoxon"
    subgroups: tuple[str, ...] = ()
    answers: Mapping[int, str] = field(default_factory=dict)

    @property
    def trained(self) -> list[MethodFacts]:
        """Methods that were trained."""
        return [method for method in self.methods if method.trainer]

    @property
    def phantoms(self) -> bool:
        """True if all cases of all datasets are synthetic phantoms."""
        return bool(self.datasets) and all(dataset.phantoms for dataset in self.datasets)

    def title(self, entry: Entry) -> str:
        """Return the name of an entry in sentences: the title of its method, and its folds if there are several."""
        titles = {method.method: method.title for method in self.methods}
        return ", ".join(filter(None, (titles.get(entry.method, entry.name), entry.detail)))

    def summaries(self, method: str, measure: Measure = DICE) -> list[tuple[str, str, Summary]]:
        """Return title of the set, detail of the entry and summary of one measure, for each set with the method.

        Args:
            method: The method as in scores.csv.
            measure: The measure.
        """
        found = []
        for group in self.statistics:
            statistics = group.measures.get(measure)
            by_label = {} if statistics is None else {one.entry: one for one in statistics.summaries}
            found += [
                (group.group.title, entry.detail, by_label[entry.label])
                for entry in group.group.entries
                if entry.method == method and entry.label in by_label
            ]
        return found


def gather_facts(
    found: Found,
    report: Report,
    *,
    statistics: Sequence[GroupStatistics],
    endpoints: Sequence[GroupEndpoints] = (),
    test: str = "wilcoxon",
    covariates: pd.DataFrame | None = None,
) -> StudyFacts:
    """Return the facts of a comparison.

    Args:
        found: The compared predictions.
        report: Their report.
        statistics: Statistics of each group of methods.
        endpoints: Statistics of clinical measurements of each group.
        test: Name of the paired test.
        covariates: The covariates that divide the cases, a column each; None without any.
    """
    datasets = {one.dataset.folder: one.dataset for one in found.predictions}
    return StudyFacts(
        datasets=tuple(map(dataset_facts, datasets.values())),
        methods=tuple(method_facts(found.predictions, training_curves(found.predictions))),
        statistics=statistics,
        endpoints=endpoints,
        report=report,
        test=test,
        subgroups=() if covariates is None else tuple(map(str, covariates.columns)),
    )
