"""The methods paragraph of a publication, in plain English, from the facts of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.supplement.claim_topics import TOPICS
from nnunet_femur.comparison.supplement.pages import Heading, Page, Paragraph, to_fill_in
from nnunet_femur.comparison.supplement.phrases import (
    cases_of,
    code,
    counted,
    division_of,
    joined,
    listed,
    margins_of,
    preprocessing_of,
    software_of,
    statistics_of,
    voxels_of,
)
from nnunet_femur.comparison.supplement.training_phrases import (
    derivation_of,
    final_networks_of,
    starts_of,
    still_falling_of,
    trainings_of,
)
from nnunet_femur.evaluation import METRICS
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.supplement.pages import Block
    from nnunet_femur.comparison.supplement.study_facts import StudyFacts

_OF_DATA, _OF_REFERENCE = (5, 7, 8, 13), (14, 16)
"""Items of the checklist whose answers by the authors belong to the paragraph about data and about reference masks."""


def methods_page(facts: StudyFacts) -> Page:
    """Return the methods paragraph, with marked gaps for what no file of the study contains."""
    parts = {
        "Data": [*_data(facts)],
        "Reference masks": [*_asked(facts, _OF_REFERENCE)],
        "Preprocessing": [*preprocessing_of(facts)],
        "Networks and training": [*_training(facts)],
        "Methods without training": [*_others(facts)],
        "Evaluation": [*_evaluation(facts)],
        "Software": [_software(facts)],
    }
    blocks: list[Block] = []
    for heading, sentences in parts.items():
        if sentences:
            blocks += [Heading(heading), Paragraph(joined(sentences))]
    return Page("methods", "Methods", tuple(blocks))


def _asked(facts: StudyFacts, numbers: tuple[int, ...]) -> Iterator[str]:
    """Yield the authors' answers to items of the checklist, or marked gaps."""
    asks = {topic.number: topic.ask for topic in TOPICS}
    for number in numbers:
        yield facts.answers.get(number) or to_fill_in(asks[number])


def _data(facts: StudyFacts) -> Iterator[str]:
    for dataset in facts.datasets:
        yield from (cases_of(dataset), voxels_of(dataset), division_of(dataset))
        if dataset.left_out:
            yield f"The conversion left out {counted(dataset.left_out, 'case')} because of their voxels."
    if facts.phantoms:
        yield "All cases are synthetic phantoms that nnunet_femur generated, so no result is about patients."
    else:
        yield from _asked(facts, _OF_DATA)


def _training(facts: StudyFacts) -> Iterator[str]:
    if not facts.trained:
        return
    networks = sum(len(method.folds) for method in facts.trained)
    known = f" ({counted(networks, 'network')})" if all(method.folds for method in facts.trained) else ""
    verb = "was" if len(facts.trained) == 1 else "were"
    yield (
        f"{counted(len(facts.trained), 'method')}{known} {verb} trained with nnU-Net v2 (Isensee et al., Nature "
        "Methods 2021) and nnunet_femur."
    )
    yield from trainings_of(facts.trained)
    starts = joined(starts_of(facts.trained))
    if starts:
        yield f"Initial weights. {starts}"
    kept = joined(final_networks_of(facts.trained))
    if kept:
        yield f"Networks that were evaluated. {kept}"
    yield still_falling_of(facts.trained)


def _others(facts: StudyFacts) -> Iterator[str]:
    for method in facts.methods:
        if method.is_baseline:
            models = listed(code(str(one.get("dataset"))) for one in method.baseline_weights)
            dummy = " **with dummy weights, which are not TotalSegmentator’s**" if method.has_dummy_weights else ""
            yield (
                f"{method.title}: TotalSegmentator (Wasserthal et al., Radiology: Artificial Intelligence 2023){dummy}"
                f"{f', models {models}' if models else ''}; its masks were brought to the grid of the CT."
            )
        elif method.derivation:
            yield derivation_of(method)
        elif method.is_from_elsewhere:
            yield f"{method.title}: masks from elsewhere. {to_fill_in('origin of these masks')}"


def _evaluation(facts: StudyFacts) -> Iterator[str]:
    used = {measure.metric for one in facts.statistics for measure in one.measures}
    names = [metric.label for name, metric in METRICS.items() if name in used]
    if names:
        yield f"Predicted masks were compared with the reference masks on the grid of the CT by {listed(names)}."
    yield f"Empty masks were scored by the policy “{facts.report.policy.name}”: {facts.report.policy.meaning}"
    measured = dict.fromkeys(one.endpoint.title_in_text for group in facts.endpoints for one in group.main.values())
    if measured:
        yield f"Measurements of both masks were compared: {listed(measured)}."
    yield from filter(None, (statistics_of(facts), margins_of(facts)))
    if facts.subgroups:
        yield f"Scores are also given by {listed(facts.subgroups)}."


def _software(facts: StudyFacts) -> str:
    found = software_of(facts)
    recorded = f"Trainings and baselines: {found}. " if found else ""
    return f"{recorded}Scores, statistics and this text: nnunet_femur {__version__}."
