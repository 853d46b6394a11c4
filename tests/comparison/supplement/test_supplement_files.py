"""The files of a supplement, and the answers of the authors, which are kept."""

import json
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.comparison import compare
from nnunet_femur.comparison.supplement.claim_topics import TOPICS
from nnunet_femur.comparison.supplement.supplement_files import Answers, read_answers
from nnunet_femur.records import read_mapping
from tests.refusing import names, refused

SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def results(tree):
    tree.test(SCRATCH, "fold_0/test", shift=1)
    record = {"recipe": {"seed": 0}, "curves": {"train_loss": [0.5, 0.49]}, "final_network": "last"}
    (tree.method(SCRATCH) / "fold_0" / "run.json").write_text(json.dumps(record))
    tree.test(BASELINE)
    return tree.results


def test_files(results):
    outcome = compare(results, supplement=True)
    assert outcome.supplement == outcome.report.parent / "supplement"
    cards = ("card_femurscratchtrainer_nnunetplans_3d_fullres", "card_totalsegmentator_total_1.5mm")
    pages = {f"{name}.{ending}" for name in ("methods", "claim", *cards) for ending in ("md", "tex")}
    assert {path.name for path in outcome.supplement.iterdir()} == {*pages, "all.tex", "README.md", "answers.yaml"}
    index = (outcome.supplement / "README.md").read_text()
    assert names(index, "answers.yaml", "claim.md", *(f"{card}.md" for card in cards))


def test_without_the_option_nothing_is_written(results):
    outcome = compare(results)
    assert outcome.supplement is None
    assert not (outcome.report.parent / "supplement").exists()


def test_answers_are_asked_once_and_then_kept(results):
    folder = compare(results, supplement=True).supplement
    file = folder / "answers.yaml"
    assert [*read_mapping(file)] == ["phantoms", *(topic.number for topic in TOPICS if topic.ask)]
    assert read_answers(folder) == Answers({}, phantoms=False)
    file.write_text('5: "Retrospective: | CTs of 2019 & 2020."\n44:\n13: ""\n')
    compare(results, supplement=True)
    assert file.read_text().startswith("5: ")
    claim = (folder / "claim.md").read_text()
    assert "| Retrospective: \\| CTs of 2019 & 2020. |" in claim
    assert r"Retrospective: \textbar{} CTs of 2019 \& 2020." in (folder / "claim.tex").read_text()
    assert "Retrospective" in (folder / "methods.md").read_text()
    assert "to be filled in: funding" in claim


def test_the_authors_know_if_their_cases_are_phantoms(results):
    folder = results / "comparison" / "supplement"
    folder.mkdir(parents=True)
    (folder / "answers.yaml").write_text("phantoms: true\n")
    compare(results, supplement=True)
    assert "7 synthetic phantoms" in (folder / "methods.md").read_text()
    assert "7 synthetic phantoms" in (folder / "claim.md").read_text()


@pytest.mark.parametrize(
    "content", ["45: text", "5: [a]", "5: yes", "5: {a: b}", "phantoms: some", "no keys", "5: 'open"]
)
def test_damaged_answers_are_refused_before_anything_is_scored(results, content, monkeypatch):
    folder = results / "comparison" / "supplement"
    folder.mkdir(parents=True)
    (folder / "answers.yaml").write_text(content)
    monkeypatch.setattr("nnunet_femur.comparison.comparison.score_predictions", None)
    with refused("invalid-file", folder / "answers.yaml"):
        compare(results, supplement=True)


def test_cards_of_methods_that_are_gone_are_deleted(results, tree):
    folder = compare(results, supplement=True).supplement
    shutil.rmtree(tree.method(SCRATCH))
    compare(results, supplement=True)
    assert [path.name for path in sorted(folder.glob("card_*"))] == [
        "card_totalsegmentator_total_1.5mm.md",
        "card_totalsegmentator_total_1.5mm.tex",
    ]


def test_the_command(results):
    done = CliRunner().invoke(app, ["compare", str(results), "--supplement"])
    assert done.exit_code == 0, done.output
    assert "supplement" in done.output.splitlines()[-1]
    assert (results / "comparison" / "supplement" / "claim.tex").is_file()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_document_compiles(results):
    folder = compare(results, supplement=True).supplement
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
