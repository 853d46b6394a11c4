"""The checklist CLAIM with the answers that the files of a study and its authors give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.comparison.supplement.claim_data_answers import DATA_ANSWERS
from nnunet_femur.comparison.supplement.claim_model_answers import MODEL_ANSWERS
from nnunet_femur.comparison.supplement.claim_topics import CITATION, TOPICS, Topic
from nnunet_femur.comparison.supplement.pages import Grid, Page, Paragraph, to_fill_in
from nnunet_femur.comparison.supplement.phrases import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.comparison.supplement.study_facts import StudyFacts

FILLED, PARTLY, MISSING = "filled in", "filled in in part", "to be filled in"
"""States of an item."""

ANSWERS = DATA_ANSWERS | MODEL_ANSWERS
"""Functions that answer items from the files of a study, by number."""


@dataclass(frozen=True)
class Item:
    """An item of the checklist with its answer.

    Attributes:
        topic: The item.
        state: :data:`FILLED`, :data:`PARTLY` or :data:`MISSING`.
        text: The answer, with a marked gap for what the authors have to add.
    """

    topic: Topic
    state: str
    text: str


def claim_items(facts: StudyFacts) -> list[Item]:
    """Return every item of CLAIM with its answer.

    Args:
        facts: Facts of the study. A text of the authors completes an item.
    """
    return [_item(topic, facts) for topic in TOPICS]


def _item(topic: Topic, facts: StudyFacts) -> Item:
    found = ANSWERS[topic.number](facts) if topic.number in ANSWERS else ""
    own = facts.answers.get(topic.number, "")
    if own or (found and not topic.ask):
        text = joined((found, own))
        return Item(topic, PARTLY if "to be filled in" in text else FILLED, text)
    return Item(topic, PARTLY if found else MISSING, joined((found, to_fill_in(topic.ask or topic.name))))


def claim_page(items: Sequence[Item]) -> Page:
    """Return the checklist as a page."""
    numbers = {state: sum(item.state == state for item in items) for state in (FILLED, PARTLY, MISSING)}
    return Page(
        name="claim",
        title="Checklist CLAIM 2024",
        blocks=(
            Paragraph(
                f"{len(items)} items: {', '.join(f'{number} {state}' for state, number in numbers.items())}. Facts "
                "come from the files of the study and from `answers.yaml`. Check each of them."
            ),
            Grid(
                ("item", "section", "topic", "answer"),
                tuple((str(item.topic.number), item.topic.section, item.topic.name, item.text) for item in items),
                (0.05, 0.13, 0.2, 0.53),
            ),
            Paragraph(f"The topics are in our own words. {CITATION}"),
        ),
    )
