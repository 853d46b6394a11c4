"""Tutorials run, their results are those that their text states, and their pages show the outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import tutorial_pages as tutorials

if TYPE_CHECKING:
    from pathlib import Path

RESULTS = {
    "forty-femurs": """
assert {finding.code for finding in errors} == {"unpaired-image", "unpaired-mask", "mask-geometry"}, errors
assert len(result.cases) == 40 and not result.left_out
assert table.groupby("set")["patient"].nunique().sum() == table["patient"].nunique()
assert planned.ceiling.mean > 0.99
assert prediction.complete and len(prediction.to_frame()) == 8
dice = comparison.summary()["Dice"]
assert comparison.complete and (dice > 0.6).all(), dice
""",
    "new-ct": """
assert nf.score(femur.mask, phantom.mask)["dice"] > 0.7
assert "neck_shaft_angle_deg" in measured.missing or abs(measured["neck_shaft_angle_deg"] - 124.2) < 15
assert not {"neck_shaft_angle_deg", "head_radius_mm", "version_murphy_deg", "length_longest_mm"} & exact.missing.keys()
assert abs(exact["neck_shaft_angle_deg"] - phantom.truth["neck_shaft_angle_deg"]) < 3
assert abs(exact["head_radius_mm"] - phantom.truth["head_radius_mm"]) < 1
assert len(measurements) == 2 and Path("out/patient6.stl").is_file()
""",
    "comparing-methods": """
def verdict(comparison, score, method):
    found = verdicts(comparison)
    return found.loc[(found["score"] == score) & (found["method"] == method)].iloc[0]

assert verdict(few, "hd95", "B")["verdict"] == "undecided"
assert verdict(many, "dice", "B")["verdict"] == verdict(many, "hd95", "B")["verdict"] == "equivalent"
thicker = verdict(many, "dice", "A, 0.5 mm thicker")
assert thicker["verdict"] == "equivalent" and float(thicker["90 % interval"].split(" to ")[1]) < 0
assert (pairs["Test: p (Holm)"] > 0.05).all()
hd = table["max", "hd"]
assert hd["A with islands"] > 3 * hd["A"]
assert means.max(axis=1).mean() > dice.mean() + 0.005
assert scores["paper", "axial", "whole", "dice"] > scores["slices", "axial", "whole", "dice"] + 0.02
""",
}
"""Statements of each tutorial about its results, as code that runs after the last cell."""


@pytest.mark.integration
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RESULTS)
def test_runs(name: str, tmp_path: Path) -> None:
    """The notebook is kept in build/tutorials, from where the site takes it."""
    book = tutorials.run(name, tmp_path, check=RESULTS[name])
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)


def test_every_tutorial_is_tested_and_has_its_place() -> None:
    assert set(tutorials.names()) == {path.stem for path in tutorials.SOURCES.glob("*.md")} == set(RESULTS)
    assert tutorials.names()[0] == "forty-femurs"


@pytest.mark.parametrize("name", RESULTS)
def test_is_a_notebook(name: str) -> None:
    """Python and bash are cells; a block in a region is text. The same source gives the same file."""
    book = tutorials.notebook(name)
    nbformat.validate(book)
    assert nbformat.writes(book) == nbformat.writes(tutorials.notebook(name))
    text = (tutorials.SOURCES / f"{name}.md").read_text(encoding="utf-8")
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    assert sum(not source.startswith("%%bash") for source in code) == text.count("\n```python\n")
    assert sum(source.startswith("%%bash") for source in code) == text.count("\n```bash\n") - text.count("#region")


class TestPages:
    @pytest.fixture
    def book(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """A finished notebook of one tutorial: a text, a table, a picture and an output of the shell."""
        sources = tmp_path / "sources"
        sources.mkdir()
        (sources / "new-ct.md").write_text("# Title\n\n```python\n1\n```\n\n```bash\nls\n```\n", encoding="utf-8")
        monkeypatch.setattr(tutorials, "SOURCES", sources)
        monkeypatch.setattr(tutorials, "FINISHED", tmp_path)
        book = tutorials.notebook("new-ct")
        cells = [cell for cell in book.cells if cell.cell_type == "code"]
        pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        cell = '<tr style="x"><td valign="top">7</td></tr>'
        table = f'<style scoped>td {{}}</style>\n<table border="1" class="dataframe">{cell}</table>'
        cells[0].outputs = [
            nbformat.v4.new_output("stream", name="stderr", text="a warning"),
            nbformat.v4.new_output("display_data", {"text/html": table, "text/plain": "7"}),
            nbformat.v4.new_output("display_data", {"image/png": pixel, "text/plain": "<Figure>"}),
        ]
        printed = [("stdout", " 10%\r100%\nou"), ("stderr", "a bar"), ("stdout", "t \x1b[1m<b>\x1b[0m\n")]
        cells[1].outputs = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in printed]
        nbformat.write(book, tmp_path / "new-ct.ipynb")
        return book

    def test_show_outputs(self, book: Any) -> None:
        files = dict(tutorials.pages())
        page = files["tutorials/new-ct.md"]
        assert isinstance(page, str)
        assert page.startswith("# Title\n")
        assert "<table><tr><td>7</td></tr></table>" in page
        assert "```bash\nls\n```" in page
        assert "```text\n100%\nout <b>\n```" in page
        assert "a warning" not in page
        assert tutorials.NOT_RUN not in page
        (picture,) = (path for path in files if path.endswith(".png"))
        assert picture.removeprefix("tutorials/") in page
        assert bytes(files[picture])[1:4] == b"PNG"
        assert nbformat.reads(files["tutorials/new-ct.ipynb"], as_version=4).cells[1].outputs

    def test_of_a_changed_source_show_no_outputs(self, book: Any) -> None:
        source = tutorials.SOURCES / "new-ct.md"
        source.write_text(source.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
        page = dict(tutorials.pages())["tutorials/new-ct.md"]
        assert tutorials.NOT_RUN in page
        assert "```text" not in page
