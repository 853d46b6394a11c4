"""Answers to the items of CLAIM about models, training, evaluation, results and limitations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.grouping import SETS
from nnunet_femur.comparison.report.report_data import DICE
from nnunet_femur.comparison.supplement.pages import to_fill_in
from nnunet_femur.comparison.supplement.phrases import (
    cases_of,
    code,
    counted,
    grouped,
    joined,
    listed,
    margins_of,
    score_text,
    software_of,
    statistics_of,
    voxels_of,
)
from nnunet_femur.comparison.supplement.training_phrases import (
    derivation_of,
    final_network_of,
    final_networks_of,
    network_of,
    starts_of,
    trainings_of,
)
from nnunet_femur.evaluation import METRICS
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnunet_femur.comparison.supplement.study_facts import StudyFacts


def _model(facts: StudyFacts) -> str:
    described = [*grouped(facts.trained, network_of)]
    return f"{'; '.join(described)}. The model cards give windows, spacings and parameters." if described else ""


def _software(facts: StudyFacts) -> str:
    found = software_of(facts)
    return f"{found}. Scores and statistics: nnunet_femur {__version__}." if found else ""


def _start(facts: StudyFacts) -> str:
    unknown = [method.title for method in facts.trained if "not known" in method.start]
    known = joined(starts_of(facts.trained))
    return f"{known} {listed(unknown)}: {to_fill_in('initial weights')}" if known and unknown else known


def _training(facts: StudyFacts) -> str:
    return joined(trainings_of(facts.trained))


def _final(facts: StudyFacts) -> str:
    unknown = [method.title for method in facts.trained if not final_network_of(method)]
    known = joined(final_networks_of(facts.trained))
    return f"{known} {listed(unknown)}: {to_fill_in('choice of the final network')}" if known and unknown else known


def _ensembles(facts: StudyFacts) -> str:
    found = {
        f"{facts.title(entry)} ({one.group.title.lower()})"
        for one in facts.statistics
        for entry in one.group.entries
        if entry.folds == ("ensemble",)
    }
    found |= {derivation_of(method).rstrip(".") for method in facts.methods if method.derivation}
    unknown = [method.title for method in facts.methods if method.is_from_elsewhere]
    gap = f"{listed(unknown)}: {to_fill_in('ensemble or not')}" if unknown else ""
    if found:
        return joined((f"Ensembles, and methods made from others: {listed(sorted(found))}.", gap))
    own = "No ensembles: each prediction of a trained method is that of one network." if facts.trained else ""
    return joined((own, gap))


def _metrics(facts: StudyFacts) -> str:
    used = {measure.metric for one in facts.statistics for measure in one.measures}
    names = [f"{metric.label} ({metric.formula})" for name, metric in METRICS.items() if name in used]
    return f"{'; '.join(names)}. Empty masks: policy “{facts.report.policy.name}”." if names else ""


def _uncertainty(facts: StudyFacts) -> str:
    return joined((statistics_of(facts), margins_of(facts)))


def _subgroups(facts: StudyFacts) -> str:
    return f"Scores by subgroup: {listed(facts.subgroups)}." if facts.subgroups else ""


def _internal(facts: StudyFacts) -> str:
    sets = [
        f"{one.group.title} ({counted(max((len(entry.wide) for entry in one.group.entries), default=0), 'case')})"
        for one in facts.statistics
        if one.group.set in SETS
    ]
    if not (sets and facts.trained and all(dataset.listed for dataset in facts.datasets)):
        return ""
    return f"Trained methods were evaluated on cases of their dataset that they were not trained on: {listed(sets)}."


def _included(facts: StudyFacts) -> str:
    found = [cases_of(dataset) for dataset in facts.datasets]
    found += [
        f"{counted(dataset.left_out, 'case')} of {code(dataset.name)} left out by the conversion."
        for dataset in facts.datasets
        if dataset.conversion
    ]
    return joined([*found, f"{counted(len(facts.report.unscored), 'prediction')} could not be scored."])


def _characteristics(facts: StudyFacts) -> str:
    return joined(map(voxels_of, facts.datasets))


def _performance(facts: StudyFacts) -> str:
    found = []
    for method in facts.methods:
        for title, _, summary in facts.summaries(method.method):
            found.append(f"{method.title}, {title.lower()}: {score_text(summary)}, n = {summary.n}")
    return f"3D Dice, mean ± SD (95 % CI): {'; '.join(found)}. The report’s tables give all scores." if found else ""


def _clinical(facts: StudyFacts) -> str:
    titles = {entry.label: facts.title(entry) for group in facts.endpoints for entry in group.group.entries}
    found = [
        f"{titles[summary.entry]}, {one.endpoint.title_in_text}: {score_text(summary, 2)}, n = {summary.n}"
        for group in facts.endpoints
        for one in group.main.values()
        for summary in one.statistics.summaries
        if summary.n
    ]
    return f"Absolute errors of clinical measurements: {'; '.join(found)}." if found else ""


def _failures(facts: StudyFacts) -> str:
    found = []
    for group in facts.statistics:
        for entry in group.group.entries:
            dice = entry.column(DICE).dropna()
            if len(dice) and not entry.ends_only:
                found.append(f"{facts.title(entry)}, {group.group.title.lower()}: {dice.idxmin()} ({dice.min():.3f})")
    unscored = [f"{one.case} of {one.method}" for one in facts.report.unscored]
    return joined(
        (
            f"Cases with the lowest 3D Dice: {'; '.join(found)}." if found else "",
            f"Could not be scored: {', '.join(unscored)}." if unscored else "",
        )
    )


def _limitations(facts: StudyFacts) -> str:
    dummies = [method.title for method in facts.methods if method.has_dummy_weights or "Dummy" in method.start]
    return joined(
        (
            "All results are results on synthetic phantoms; they do not carry over to patients."
            if facts.phantoms
            else "",
            f"Dummy weights, not TotalSegmentator’s: {listed(dummies)}." if dummies else "",
            *dict.fromkeys(facts.report.cautions),
        )
    )


def _protocol(facts: StudyFacts) -> str:
    commands = dict.fromkeys(
        " ".join(map(str, command))
        for method in facts.trained
        for record in method.records
        if isinstance(command := record.get("command"), list)
    )
    return f"Commands of the trainings: {', '.join(map(code, commands))}." if commands else ""


def _availability(_facts: StudyFacts) -> str:
    return f"Software: nnunet_femur {__version__}, Apache-2.0; nnU-Net v2 and TotalSegmentator, Apache-2.0."


MODEL_ANSWERS: dict[int, Callable[[StudyFacts], str]] = {
    22: _model,
    23: _software,
    24: _start,
    25: _training,
    26: _final,
    27: _ensembles,
    28: _metrics,
    29: _uncertainty,
    30: _subgroups,
    32: _internal,
    35: _included,
    36: _characteristics,
    37: _performance,
    38: _clinical,
    39: _failures,
    40: _limitations,
    42: _protocol,
    43: _availability,
}
"""Functions that answer items from the files of a study, by number. An empty text: the files lack the facts."""
