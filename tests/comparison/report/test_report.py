"""The report: its content, its files, and its behaviour in a browser."""

import base64
import html
import io
import json
import re
import shutil
import subprocess

import matplotlib.image
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.comparison import compare
from nnunet_femur.comparison.report import figures
from nnunet_femur.comparison.report.figures.box_plots import draw_boxes
from nnunet_femur.comparison.report.figures.significance import draw_significance
from nnunet_femur.comparison.report.output import write_all
from nnunet_femur.comparison.report.report import Report
from nnunet_femur.comparison.report.report_data import DICE
from nnunet_femur.evaluation import METRICS, STRICT
from tests.refusing import names, refused

UNET = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    from tests.comparison.conftest import Tree

    with pytest.MonkeyPatch.context() as patch:
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            patch.delenv(name, raising=False)
        tree = Tree(tmp_path_factory.mktemp("report")).add_raw()
        tree.test(UNET, "fold_0/test", shift=2)
        tree.test(SCRATCH, shift=1)
        (tree.method(UNET) / "fold_0" / "run.json").write_text(
            json.dumps({"fold": 0, "seconds": 90, "device": "H<100>"})
        )
        yield compare(tree.results, output=tree.base / "report", published="paper")


@pytest.fixture
def few_figures(monkeypatch):
    """Those of the scores alone, since drawing takes longer than all the rest."""
    monkeypatch.setattr(figures, "FIGURES", (draw_boxes, draw_significance))


class TestText:
    def test_html_needs_nothing_beside_it(self, outcome):
        text = outcome.report.read_text()
        references = re.findall(r'(?:src|href|data)="([^"]*)"', text) + re.findall(r"url\(([^)]*)\)", text)
        assert references
        assert all(reference.startswith(("data:", "#")) for reference in references)
        assert "://" not in text
        assert "<script src" not in text

    def test_scores_policy_study_and_cautions_are_in_both_formats(self, outcome):
        for text in (outcome.report.read_text(), outcome.report.with_suffix(".md").read_text()):
            for metric in METRICS.values():
                assert html.escape(metric.formula, quote=False) in text or metric.formula in text
            assert STRICT.meaning in text
            assert names(text, "0 of 4 volumes", "12 of 54 slices", "Dataset001_Femur")
            assert "Pivi & Fusconi" in text.replace("&amp;", "&")
            for found in outcome.statistics:
                for caution in found.measures[DICE].cautions:
                    assert caution.text in text

    def test_cautions_and_warnings_come_before_all_scores(self, outcome):
        first = outcome.report.read_text().partition("<h2")[0]
        (found,) = outcome.statistics
        assert {caution.code for caution in found.measures[DICE].cautions} >= {"few-patients"}
        assert found.measures[DICE].cautions[0].text in first

    def test_markdown(self, outcome):
        markdown = outcome.report.with_suffix(".md").read_text()
        assert "| FemurScratch · 3d_fullres | 2 | **0.750 ± 0.000** |" in markdown
        linked = re.findall(r"\(<((?:figures|tables)/[^>]*)>\)", markdown)
        assert {name.partition("/")[0] for name in linked} == {"figures", "tables"}
        assert all((outcome.report.parent / name).is_file() for name in linked)

    def test_a_published_figure_is_shown_below_ours(self, outcome):
        assert outcome.report.read_text().count('<i class="published">0.957 ± 0.020</i>') == 1

    def test_method_cards(self, outcome):
        text = outcome.report.read_text()
        assert "<dt>Time</dt><dd>1.5 min</dd>" in text
        assert "H&lt;100&gt;" in text
        assert "run.json" in text

    def test_every_table_is_written_in_every_format(self, outcome):
        folder = outcome.report.parent / "tables"
        for table in outcome.tables:
            assert {path.suffix for path in folder.glob(f"{table.name}.*")} == {".md", ".csv", ".tex", ".json"}
            assert rf"\input{{{table.name}}}" in (folder / "all.tex").read_text()

    def test_the_latex_of_all_tables_compiles(self, outcome, tmp_path):
        if shutil.which("pdflatex") is None:
            pytest.skip("no pdflatex here: apt-get install texlive-latex-base texlive-latex-recommended")
        shutil.copytree(outcome.report.parent / "tables", tmp_path / "tables")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
        done = subprocess.run(command, cwd=tmp_path / "tables", capture_output=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]

    def test_every_image_is_whole(self, outcome):
        images = re.findall(r'src="data:image/png;base64,([^"]*)"', outcome.report.read_text())
        assert len(images) == len(list((outcome.report.parent / "figures").glob("*.png")))
        for image in images:
            pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(image)))
            assert min(pixels.shape[:2]) > 150

    def test_names_are_escaped(self, tree, few_figures):
        tree.test("A<b>__nnUNetPlans__2d")
        assert "A<b>" not in compare(tree.results).report.read_text()

    def test_tables_and_figures_of_the_last_report_are_deleted_but_nothing_else(self, tree, few_figures):
        tree.test(UNET, shift=2)
        tree.test(SCRATCH)
        folder = compare(tree.results).report.parent
        mine = folder / "figures" / "mine.png"
        mine.write_bytes(b"")
        assert (folder / "figures" / "significance_test.png").is_file()
        shutil.rmtree(tree.method(UNET))
        compare(tree.results)
        assert not (folder / "figures" / "significance_test.png").exists()
        assert mine.is_file()


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    return found


FIRST = """<script>window.found = {errors: []};
addEventListener("error", (e) => found.errors.push(String(e.message || e.target.outerHTML).slice(0, 200)), true);
console.error = (...all) => found.errors.push(all.join(" "));</script>"""

LAST = """<script>addEventListener("load", () => {
  found.images = [...document.images].map(image => [image.complete, image.naturalWidth]);
  const table = document.querySelector("table.sortable");
  const head = [...table.tHead.rows].at(-1).cells;
  const column = [...head].findIndex(cell => cell.textContent === "Dice");
  const read = () => [...table.tBodies[0].rows].map(row => Number(row.cells[column].dataset.value));
  found.before = read();
  head[column].querySelector("button").click();
  found.rising = read(); found.said = head[column].getAttribute("aria-sort");
  head[column].querySelector("button").click();
  found.falling = read();
  head[0].querySelector("button").click();
  found.names = [...table.tBodies[0].rows].map(row => row.cells[0].textContent);
  document.querySelector(".sorter select").selectedIndex = column + 1;
  document.querySelector(".sorter select").dispatchEvent(new Event("change"));
  found.chosen = read();
  found.wide = document.documentElement.scrollWidth - innerWidth;
  document.body.innerHTML = ""; document.body.dataset.found = JSON.stringify(found);
});</script>"""


@pytest.mark.parametrize("width", [1280, 400])
def test_in_a_browser(chromium, outcome, tmp_path, width):
    page = tmp_path / "report.html"
    content = outcome.report.read_text().replace("<head>", f"<head>{FIRST}").replace("</body>", f"{LAST}</body>")
    page.write_text(content)
    options = (
        "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --enable-logging=stderr "
        f"--virtual-time-budget=10000 --dump-dom --window-size={width},900"
    )
    command = [chromium, *options.split(), f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
    assert ":CONSOLE" not in done.stderr
    (text,) = re.findall(r'data-found="([^"]*)"', done.stdout)
    found = json.loads(text.replace("&quot;", '"'))
    assert found["errors"] == []
    assert len(found["images"]) >= 8
    assert all(complete and pixels > 100 for complete, pixels in found["images"])
    assert sorted(found["before"]) == found["rising"] == found["falling"][::-1] == [0.5, 0.75]
    assert found["said"] == "ascending"
    assert found["names"] == sorted(found["names"])
    assert found["chosen"] == found["rising"]
    assert found["wide"] <= 0  # Nothing makes the page itself scroll sideways.


def test_a_figure_that_failed_is_drawn_again_by_the_next_report(tree, monkeypatch):
    def draw_wrong(*_):
        raise ZeroDivisionError

    tree.test(UNET)
    monkeypatch.setattr(figures, "FIGURES", (draw_boxes, draw_wrong))
    outcome = compare(tree.results)
    assert any("ZeroDivisionError" in warning for warning in outcome.warnings)
    assert json.loads((outcome.report.parent / "figures" / "index.json").read_text())["provenance"] is None
    assert any("ZeroDivisionError" in warning for warning in compare(tree.results).warnings)


def test_an_output_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "tables").write_text("a file")
    report = Report([], [], [], [], complete=True, warnings=[], notes=[])
    with refused("cannot-write", tmp_path):
        write_all(tmp_path, report, None)


def test_without_ct_and_without_any_slice(tree):
    for path in [*tree.raw.glob("imagesTs/*")]:
        path.unlink()
    tree.test(SCRATCH)
    for folder in (tree.raw / "labelsTs", tree.test(BASELINE)):
        for path in folder.iterdir():
            image = sitk.ReadImage(str(path)) * 0
            sitk.WriteImage(image, str(path))
    outcome = compare(tree.results)
    scores = outcome.scores[(outcome.scores["protocol"] == "volume") & (outcome.scores["metric"] == "dice")]
    whole = scores[scores["region"] == "whole"]
    assert np.all(whole.loc[whole["method"] == BASELINE, "value"] == 1)
    assert np.all(whole.loc[whole["method"] == SCRATCH, "value"] == 0)
    names = {path.stem for path in (outcome.report.parent / "figures").glob("slices_*.png")}
    assert names == {"slices_femurscratchtrainer_nnunetplans_3d_fullres"}
