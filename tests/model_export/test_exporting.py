"""Exporting a model: its files, checksums, parity, and what is refused."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.model_export import export
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def exported(finetuned: Path, tmp_path_factory: pytest.TempPathFactory):
    return export(finetuned, tmp_path_factory.mktemp("out") / "shared")


@pytest.mark.integration
class TestExport:
    def test_files(self, exported) -> None:
        assert [path.suffix for path in exported.files] == [".zip", ".md", "", ".json"]
