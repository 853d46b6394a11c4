"""Pages of the codes: findings about files and masks, errors, and reasons for missing measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markdown_tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nnunet_femur.kinds import Kind


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and Markdown of each page."""
    yield "reference/findings.md", _findings()
    yield "reference/errors.md", _errors()


def _findings() -> str:
    from nnunet_femur.kinds import KINDS
    from nnunet_femur.prediction.prediction_kinds import PREDICTION_KINDS

    return "\n".join(
        [
            "# Findings\n",
            "A finding is an observation about one file. Its code is the same in every table, report and message, "
            "and does not change between versions. An **error** must be fixed before the file can be used. A "
            "**warning** should be checked by a person. A **note** reports something that was changed or left out, "
            "most likely correctly.\n",
            "The weight is the share of a finding in the review score of a prediction, from 0 to 1: see "
            "[Segment new CTs](../prediction.md). Reasons for missing measurements have codes of their own: "
            "[Measurements](../measurements.md#what-is-refused).\n",
            "## Of predicted masks\n",
            "`nnfemur predict` and `nnfemur baseline` write these into `predictions.json` and `run.json`, besides "
            "those of the CT below.\n",
            _table(PREDICTION_KINDS.values()),
            "## Of CTs and masks\n",
            "`nnfemur convert` writes these into `conversion.json` and the report; all other commands that read "
            "CTs and masks use the same codes.\n",
            _table(KINDS.values()),
        ]
    )


def _table(kinds: Iterable[Kind]) -> str:
    from nnunet_femur.prediction.prediction_kinds import WEIGHTS

    rows = [
        (
            f'<span id="{kind.code}">`{kind.code}`</span>',
            kind.severity.value,
            cell(kind.meaning),
            cell(kind.remedy) or "–",
            f"{WEIGHTS[kind.code]:g}",
        )
        for kind in kinds
    ]
    return table(("code", "severity", "meaning", "remedy", "weight"), rows)


def _errors() -> str:
    from nnunet_femur.errors import CODES

    rows = [(f'<span id="{code}">`{code}`</span>', cell(meaning)) for code, meaning in CODES.items()]
    return "\n".join(
        [
            "# Errors\n",
            "Errors that a user can fix are an [`InputError`](api/nnunet_femur.md#nnunet_femur.InputError) for files "
            "and arguments, or a [`SetupError`](api/nnunet_femur.md#nnunet_femur.SetupError) for the environment. The "
            "message gives the file, the problem and the fix; `error.code` is one of these. Codes are stable, messages "
            "are not. On the command line, the message follows `error:` and the exit status is 1.\n",
            table(("code", "meaning"), rows),
            "Errors about a volume have the code of a [finding](findings.md).\n",
        ]
    )
