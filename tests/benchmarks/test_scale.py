"""The page about many CTs: its costs follow from a run with forty."""

from __future__ import annotations

import re

import scale

ROW = {"stage": "plan", "cases": 32, "wall_s": 320.0, "processor_s": 480.0, "bytes": 64e6, "gib": 2.25}


def test_hours_of_more_cts_are_those_of_a_case_times_their_number() -> None:
    (row,) = scale.stage_table([ROW], (40, 1000)).splitlines()[2:]
    # 10 s a CT: 400 s and 10 000 s.
    assert row == "| `plan` | 32 | 10 s | 6.67 min | 2.78 h | 15 s | 2 MB | 2.2 GiB |"


def test_the_page_contains_a_run_with_forty_cts() -> None:
    page = scale.PAGE.read_text(encoding="utf-8")
    of_page = page.split("<!-- begin scale-stages -->")[1].split("<!-- end scale-stages -->")[0]
    stages = re.findall(r"^\| `(\w+)` \| (\d+) \|", of_page, re.MULTILINE)
    assert dict(stages) == {
        "convert": "40", "plan": "32", "predict": "40", "baseline": "40", "measure": "40", "compare": "48"
    }  # fmt: skip


def test_every_case_is_in_one_shard() -> None:
    assert sum(scale.shard_sizes(40)) == 40
