"""Releases: versions and addresses agree, workflows are pinned and have few permissions, a wheel runs alone."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).parents[1]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
HUB = "https://github.com/someone/femur"


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """The program ``.ci/release.py`` as a module."""
    spec = importlib.util.spec_from_file_location("release", REPOSITORY / ".ci" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


class TestVersion:
    def test_changelog_and_citation_have_the_version_of_the_package(self, release: ModuleType) -> None:
        from nnunet_femur import __version__

        assert release.release_problems(REPOSITORY, f"v{__version__}") == []

    def test_another_tag_is_refused_by_each_file(self, release: ModuleType) -> None:
        problems = release.release_problems(REPOSITORY, "v9.9.9")
        assert [problem.partition(":")[0] for problem in problems] == [
            "nnunet_femur/version.py",
            "CITATION.cff",
            "CHANGELOG.md",
        ]

    def test_a_citation_with_another_date_is_refused(self, tmp_path: Path, release: ModuleType) -> None:
        from nnunet_femur import __version__

        for name in ("nnunet_femur/version.py", "CITATION.cff", "CHANGELOG.md"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text((REPOSITORY / name).read_text(encoding="utf-8"), encoding="utf-8")
        assert release.release_problems(tmp_path, f"v{__version__}") == []
        citation = tmp_path / "CITATION.cff"
        text = re.sub(r"date-released: .*", "date-released: 2020-01-01", citation.read_text(encoding="utf-8"))
        citation.write_text(text, encoding="utf-8")
        (problem,) = release.release_problems(tmp_path, f"v{__version__}")
        assert problem.startswith("CITATION.cff: ")

    def test_a_tag_without_v_is_refused(self, release: ModuleType) -> None:
        from nnunet_femur import __version__

        assert len(release.release_problems(REPOSITORY, __version__)) == 1


class TestAddresses:
    @pytest.mark.parametrize(
        ("link", "absolute"),
        [
            ("[a](docs/a.md#b)", f"[a]({HUB}/blob/v1/docs/a.md#b)"),
            ("![p](docs/p.png)", f"![p]({HUB}/raw/v1/docs/p.png)"),
            ('![p](docs/p.png "title")', f'![p]({HUB}/raw/v1/docs/p.png "title")'),
            ("[a](https://b.org) [c](#d) [e](mailto:f@g.h)", "[a](https://b.org) [c](#d) [e](mailto:f@g.h)"),
            ('<img src="docs/p.jpg" width="49%">', f'<img src="{HUB}/raw/v1/docs/p.jpg" width="49%">'),
            ('<a href="docs/a.md"> <a href="#b">', f'<a href="{HUB}/blob/v1/docs/a.md"> <a href="#b">'),
            ('<img src="https://b.org/p.png">', '<img src="https://b.org/p.png">'),
        ],
    )
    def test_links_of_the_readme(self, link: str, absolute: str, release: ModuleType) -> None:
        assert release.absolute_links(link, HUB, "v1") == absolute

    def test_metadata(self, tmp_path: Path, release: ModuleType) -> None:
        for name in ("README.md", "pyproject.toml"):
            (tmp_path / name).write_text((REPOSITORY / name).read_text(encoding="utf-8"), encoding="utf-8")
        release.fill_in_addresses(tmp_path, f"{HUB}/", "v1")
        urls = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
        assert urls["Repository"] == HUB
        assert urls["Documentation"] == "https://someone.github.io/femur/"
        assert urls["Changelog"] == f"{HUB}/blob/v1/CHANGELOG.md"
        readme = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert not re.search(r"""(?:\]\(|(?:src|href)=["'])(?!https?:|#)""", readme)


class TestWorkflows:
    @pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
    def workflow(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return yaml.safe_load(request.param.read_text(encoding="utf-8"))

    def test_comply_with_the_schema(self) -> None:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
        subprocess.run([*command, *map(str, WORKFLOWS)], check=True, capture_output=True)

    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
    def test_actions_are_pinned_to_a_commit_of_a_named_version(self, path: Path) -> None:
        used = re.findall(r"uses:(.*)", path.read_text(encoding="utf-8"))
        assert used
        assert not [each for each in used if not re.fullmatch(r" [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)]

    def test_may_read_only(self, workflow: dict[str, Any]) -> None:
        assert workflow["permissions"] == {"contents": "read"}

    def test_only_jobs_that_publish_get_a_token(self, workflow: dict[str, Any]) -> None:
        """These jobs run no code of the repository, and only in an environment, whose rules the owner sets."""
        for name, job in workflow["jobs"].items():
            if name == "publish":
                assert "environment" in job
                assert "if" in job
                assert not [step for step in job["steps"] if "run" in step]
            else:
                assert "permissions" not in job
            checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
            assert all(step["with"]["persist-credentials"] is False for step in checkouts)

    def test_no_step_expands_expressions_in_a_shell(self, workflow: dict[str, Any]) -> None:
        """Names of tags and branches could contain commands."""
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        assert not [step for step in steps if "${{" in step.get("run", "")]

    def test_run_the_versions_of_python_that_the_package_names(self) -> None:
        named = [each.rpartition(" ")[2] for each in _project()["classifiers"] if re.search(r":: 3\.\d+$", each)]
        tests = yaml.safe_load((REPOSITORY / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
        matrix = tests["jobs"]["test"]["strategy"]["matrix"]
        assert matrix["python"] == named
        assert [system.partition("-")[0] for system in matrix["system"]] == ["ubuntu", "macos", "windows"]
        assert _project()["requires-python"] == f">={named[0]}"
