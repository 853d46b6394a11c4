"""Pages of the codes have each code once, with its severity and weight."""

from __future__ import annotations

import re

from code_pages import pages

from nnunet_femur.errors import CODES
from nnunet_femur.kinds import KINDS
from nnunet_femur.prediction.prediction_kinds import PREDICTION_KINDS, WEIGHTS

PAGES = dict(pages())


def _rows(page: str) -> list[tuple[str, list[str]]]:
    found = re.findall(r'^\| <span id="([\w-]+)">`\1`</span> \| (.*) \|$', PAGES[page], re.MULTILINE)
    return [(code, rest.split(" | ")) for code, rest in found]


def test_findings() -> None:
    rows = _rows("reference/findings.md")
    assert [code for code, _ in rows] == [*PREDICTION_KINDS, *KINDS]
    for code, (severity, meaning, remedy, weight) in rows:
        kind = PREDICTION_KINDS.get(code) or KINDS[code]
        assert (severity, float(weight)) == (kind.severity.value, WEIGHTS[code])
        shown = [text.replace("&lt;", "<").replace("\\|", "|") for text in (meaning, remedy)]
        assert shown == [kind.meaning, kind.remedy or "–"]


def test_errors() -> None:
    assert {code: rest[0] for code, rest in _rows("reference/errors.md")} == CODES
