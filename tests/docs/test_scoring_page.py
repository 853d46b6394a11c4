"""The worked case in docs/scoring.md prints what the page shows, and the page explains every metric."""

import re
import subprocess
import sys
from pathlib import Path

from nnunet_femur.evaluation import METRICS

TEXT = (Path(__file__).parents[2] / "docs" / "scoring.md").read_text(encoding="utf-8")


def test_worked_case():
    section = TEXT.partition("### One case, every protocol")[2]
    ((code, printed),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", section, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == printed


def test_every_metric_is_explained():
    rows = TEXT.partition("## Metrics")[2].partition("Surfaces are made of surfels")[0]
    for metric in METRICS.values():
        assert metric.label.partition(" mm")[0].rstrip(" 123") in rows
