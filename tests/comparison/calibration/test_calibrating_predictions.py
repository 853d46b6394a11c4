"""Calibration within a comparison: rows of scores.csv, the table, the cache, and files that cannot be used."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.comparison import compare
from nnunet_femur.comparison.calibration import calibrating_predictions
from nnunet_femur.comparison.calibration.calibrating_predictions import CACHE_FILE
from tests.comparison.conftest import bone

SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
OTHER = "OtherTrainer__nnUNetPlans__3d_fullres"

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def predicted(tree):
    """A method with probabilities of both test cases, 0.9 and 0.8 in the femur, and one without."""
    folder = tree.test(SCRATCH)
    for case, sure in (("L6", 0.9), ("R7", 0.8)):
        p = np.where(bone() > 0, sure, 0).astype(np.float32)
        np.savez_compressed(folder / f"{case}.npz", probabilities=np.stack([1 - p, p]))
    tree.test(OTHER)
    return tree


def _ece(scores: pd.DataFrame, region: str) -> dict[str, float]:
    rows = scores[(scores["protocol"] == "calibration") & (scores["metric"] == "ece") & (scores["region"] == region)]
    assert set(rows["method"]) <= {SCRATCH}
    return rows.set_index("case")["value"].to_dict()


def test_scores_and_table(predicted):
    outcome = compare(predicted.results, measurements=False)
    written = pd.read_csv(outcome.report.parent / "scores.csv", dtype={"unit": str})
    near = 8 * 11 * 12
    expected = {"L6": 64 * 0.1 / near, "R7": 64 * 0.2 / near}
    assert _ece(written, "surroundings") == pytest.approx(expected, rel=1e-5)
    assert _ece(outcome.scores, "image") == pytest.approx({"L6": 6.4 / 1320, "R7": 12.8 / 1320}, rel=1e-5)
    assert written["patient"].notna().all()
    table = pd.read_csv(outcome.report.parent / "tables" / "calibration_test.csv")
    assert table["n"].tolist() == [2]
    assert table.filter(like=": ECE").iloc[0, 0] == pytest.approx(np.mean([*expected.values()]), rel=1e-5)
    # Nothing else changes.
    assert outcome.summary()["n"].tolist() == [2, 2]


def test_only_cases_with_probabilities_count(predicted):
    (predicted.method(SCRATCH) / "test" / "R7.npz").unlink()
    outcome = compare(predicted.results, measurements=False)
    assert list(_ece(outcome.scores, "image")) == ["L6"]
    assert outcome.warnings == []


def test_without_calibration(predicted):
    result = CliRunner().invoke(app, ["compare", str(predicted.results), "--no-calibration", "--no-measurements"])
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(predicted.results / "comparison" / "scores.csv")
    assert "calibration" not in set(scores["protocol"])


def test_the_cache_saves_reading(predicted, monkeypatch):
    first = compare(predicted.results, measurements=False)

    def unexpected(_files):
        raise AssertionError

    monkeypatch.setattr(calibrating_predictions, "measure_reliability", unexpected)
    again = compare(predicted.results, measurements=False)
    pd.testing.assert_frame_equal(again.scores, first.scores)


@pytest.mark.parametrize("content", ["", "{", '{"key": 1}\n'])
def test_a_broken_cache_is_no_cache(predicted, content):
    first = compare(predicted.results, measurements=False)
    (first.report.parent / CACHE_FILE).write_text(content)
    pd.testing.assert_frame_equal(compare(predicted.results, measurements=False).scores, first.scores)


def test_a_changed_file_is_read_again(predicted):
    compare(predicted.results, measurements=False)
    folder = predicted.method(SCRATCH) / "test"
    (folder / "L6.npz").write_bytes((folder / "R7.npz").read_bytes())
    ece = _ece(compare(predicted.results, measurements=False).scores, "image")
    assert ece["L6"] == ece["R7"]


def test_a_damaged_file_is_named_and_costs_nothing_else(predicted):
    path = predicted.method(SCRATCH) / "test" / "L6.npz"
    path.write_bytes(b"nonsense")
    outcome = compare(predicted.results, measurements=False)
    (warning,) = outcome.warnings
    assert str(path) in warning
    assert list(_ece(outcome.scores, "image")) == ["R7"]
    assert outcome.complete
