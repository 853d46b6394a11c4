"""`nnfemur doctor` on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

_DOCTOR = "from nnunet_femur.cli import main; sys.argv[1:] = ['doctor', '--json']; main()"


def _run(before: str, home: Path, **environment: str) -> tuple[int, dict]:
    code = f"import sys; {before}; {_DOCTOR}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    found: dict[str, list[str]] = {}
    content = json.loads(done.stdout)
    for finding in content["findings"]:
        found.setdefault(finding["check"], []).append(finding["status"])
        assert finding["remedy"] or finding["status"] == "ok", finding
    assert content["healthy"] is (done.returncode == 0)
    return done.returncode, found


def test_this_environment_works(tmp_path: Path) -> None:
    status, found = _run("pass", tmp_path)
    assert status == 0
    assert found["versions"] == found["imports"] == ["ok"]
    assert found["totalsegmentator"] == ["warning"], "an empty home folder contains no weights"


def test_answers_without_torch_and_nnunet(tmp_path: Path) -> None:
    status, found = _run("sys.modules |= {'torch': None, 'nnunetv2': None}", tmp_path, nnUNet_n_proc_DA="x")
    assert status == 1
    assert found["imports"] == ["broken", "broken"]
    assert found["workers"] == ["broken"]
    assert found["versions"] == ["ok"]
