"""Files that must not be tracked: lock files and addresses of package registries, large files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ADDRESS = re.compile(r"--(extra-)?index-url|\[\[?tool\.uv\.index|(pypi|pythonhosted|npmjs|yarnpkg)\s*\.\s*(org|com)")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("this is no git checkout")
    return [REPOSITORY / name for name in listing.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def test_no_lock_file(tracked: list[Path]) -> None:
    assert not {path.name for path in tracked} & {"uv.lock", "poetry.lock", "package-lock.json"}


def test_no_address_of_a_registry(tracked: list[Path]) -> None:
    texts = [path for path in tracked if path.suffix not in {".png", ".jpg", ".npz"} and path != Path(__file__)]
    assert not [path for path in texts if ADDRESS.search(path.read_text(encoding="utf-8"))]


def test_no_large_file(tracked: list[Path]) -> None:
    assert not [path for path in tracked if path.stat().st_size > 1_000_000]
