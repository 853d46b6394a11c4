"""Writing of the supplement: its pages as Markdown and LaTeX, and the file with the answers of the authors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nnunet_femur.arguments import suggestion
from nnunet_femur.atomic_files import write_text
from nnunet_femur.comparison.supplement.claim_items import claim_items, claim_page
from nnunet_femur.comparison.supplement.claim_topics import TOPICS
from nnunet_femur.comparison.supplement.method_model_cards import method_card_pages
from nnunet_femur.comparison.supplement.methods_text import methods_page
from nnunet_femur.comparison.supplement.pages import FORMATS, latex_document
from nnunet_femur.errors import InputError
from nnunet_femur.records import read_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.comparison.supplement.claim_items import Item
    from nnunet_femur.comparison.supplement.pages import Page
    from nnunet_femur.comparison.supplement.study_facts import StudyFacts

FOLDER = "supplement"
"""Folder of the supplement in the folder of a report."""

ANSWERS_FILE = "answers.yaml"
"""File with the answers of the authors. It is written once, and then only read."""

INDEX = "README.md"
"""File that lists the pages."""

_PHANTOMS = "phantoms"
"""Key of the answers that states if the cases are phantoms."""


@dataclass(frozen=True)
class Answers:
    """Answers of the authors.

    Attributes:
        texts: Answers by number of the checklist's item.
        phantoms: True or False if the authors state that all cases are synthetic phantoms or not; None if they do not.
    """

    texts: Mapping[int, str] = field(default_factory=dict)
    phantoms: bool | None = None


def read_answers(folder: Path) -> Answers:
    """Return the answers of the authors; none without a file.

    Args:
        folder: Folder of the supplement.

    Raises:
        InputError: The file is not such a list (code "unreadable" or "invalid-file").
    """
    path = folder / ANSWERS_FILE
    if not path.is_file():
        return Answers()
    known = {str(topic.number): topic.number for topic in TOPICS}
    content, found = read_mapping(path), {}
    phantoms = content.pop(_PHANTOMS, None)
    if not isinstance(phantoms, bool | None):
        msg = f"{path}: {_PHANTOMS} must be true or false, got {phantoms!r}."
        raise InputError(msg, code="invalid-file")
    for key, text in content.items():
        if str(key) not in known:
            hint = suggestion(str(key), [_PHANTOMS, *known])
            msg = f"{path}: {key!r} is not an item of the checklist (1 to {len(TOPICS)}).{hint}"
            raise InputError(msg, code="invalid-file")
        if text is not None and (isinstance(text, bool) or not isinstance(text, str | int | float)):
            msg = f"{path}: the answer to item {key} must be a text, got {type(text).__name__}. Put it in quotes."
            raise InputError(msg, code="invalid-file")
        if text not in (None, ""):
            found[known[str(key)]] = str(text)
    return Answers(found, phantoms)


def write_supplement(folder: Path, facts: StudyFacts) -> Path:
    """Write the checklist, the methods paragraph and a model card per method.

    Args:
        folder: Folder of the report; the supplement is written to ``supplement`` in it.
        facts: Facts of the study.

    Returns:
        The folder of the supplement.

    Raises:
        InputError: The answers cannot be read (codes "unreadable", "invalid-file"), or the folder cannot be written
            (code "cannot-write").
    """
    folder = folder / FOLDER
    answers = read_answers(folder)
    facts = replace(facts, answers=answers.texts)
    if answers.phantoms is not None:
        facts = replace(facts, datasets=tuple(replace(one, phantoms=answers.phantoms) for one in facts.datasets))
    items = claim_items(facts)
    pages = [methods_page(facts), claim_page(items), *method_card_pages(facts)]
    texts = {f"{page.name}.{ending}": make(page) for page in pages for ending, make in FORMATS.items()}
    texts["all.tex"] = latex_document(pages)
    texts[INDEX] = _index(pages)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ANSWERS_FILE).is_file():
            write_text(folder / ANSWERS_FILE, _empty_answers(items, phantoms=facts.phantoms))
        for outdated in {path.name for path in folder.glob("card_*.*")} - texts.keys():
            (folder / outdated).unlink()
        for name, text in texts.items():
            write_text(folder / name, text, durable=False)
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror}). Choose another folder with --output."
        raise InputError(msg, code="cannot-write") from error
    return folder


def _index(pages: Sequence[Page]) -> str:
    rows = "".join(f"| [{page.title}]({page.name}.md) | {page.gaps} |\n" for page in pages)
    return (
        "# Supplement\n\n"
        f"Answer the open items of the checklist in `{ANSWERS_FILE}`, and run the comparison again; it does not change "
        "this file. The other files are written anew each time. `all.tex` is a LaTeX document with all pages.\n\n"
        f"| page | gaps |\n| --- | ---: |\n{rows}"
    )


def _empty_answers(items: Sequence[Item], *, phantoms: bool) -> str:
    lines = [
        "# Answers of the authors to items of CLAIM, by number, between the quotes.",
        "# nnfemur-compare --supplement reads this file and does not change it.",
        "",
        "# true if all cases are synthetic phantoms, which must not be called patients.",
        f"{_PHANTOMS}: {str(phantoms).lower()}",
        "",
    ]
    for item in items:
        if item.topic.ask:
            lines += [f"# {item.topic.name}: {item.topic.ask}", f'{item.topic.number}: ""', ""]
    return "\n".join(lines)
