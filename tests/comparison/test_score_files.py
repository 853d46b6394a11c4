"""`nnfemur score`: files and folders, its three forms, and what is refused."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.comparison.score_files import COLUMNS, score_files
from nnunet_femur.evaluation import METRICS
from nnunet_femur.imaging.dicom_output import write_dicom
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.imaging.reading import read_ct
from tests.dicom_writing import write_ct
from tests.refusing import names, refused

METHOD = "AnyTrainer__nnUNetPlans__3d_fullres"


@pytest.fixture
def masks(tree):
    """A folder of predictions, each one slice too high, and that of their reference."""
    return tree.test(METHOD, shift=1), tree.raw / "labelsTs"


def _value(scores, case, *place):
    rows = scores[(scores["case"] == case) & (scores[["protocol", "plane", "region", "metric"]] == place).all(axis=1)]
    return rows["value"].item()


class TestScores:
    def test_two_files_of_different_names(self, masks, tree):
        reference = (masks[1] / "L6.nrrd").rename(tree.base / "reference.nrrd")
        scores = score_files(masks[0] / "L6.nrrd", reference).scores
        assert tuple(scores.columns) == COLUMNS
        assert _value(scores, "L6", "volume", "all", "whole", "dice") == 0.75
        assert _value(scores, "L6", "volume", "all", "whole", "hd") == 5.0
        assert _value(scores, "L6", "volume", "all", "whole", "truth_volume") == pytest.approx(64 * 0.02)

    def test_two_folders(self, masks):
        scores = score_files(*masks).scores
        assert scores["case"].unique().tolist() == ["L6", "R7"]

    def test_a_folder_of_dicom_masks(self, tmp_path):
        """A block of four slices against the same block one slice higher."""
        ct = write_ct(tmp_path / "ct", np.zeros((9, 8, 7), np.int16))
        grid = read_ct(ct).header.geometry
        (tmp_path / "pred").mkdir()
        (tmp_path / "ref").mkdir()
        for name, ending, value in (("L6", "seg", 1), ("R7", "rtstruct", 2)):
            mask = np.zeros((9, 8, 7), np.uint8)
            mask[2:6, 2:6, 2:6] = value
            write_dicom(image_of(mask, grid), tmp_path / "pred" / f"{name}.{ending}.dcm", ct)
            sitk.WriteImage(
                image_of(np.roll(mask > 0, 1, 0).astype(np.uint8), grid), str(tmp_path / f"ref/{name}.nrrd")
            )
        scores = score_files(tmp_path / "pred", tmp_path / "ref").scores
        assert [_value(scores, case, "volume", "all", "whole", "dice") for case in ("L6", "R7")] == [0.75, 0.75]

    def test_options(self, masks):
        scores = score_files(*masks, slice_surfaces=True, in_slices=True).scores
        assert _value(scores, "L6", "slices", "coronal", "whole", "hd") == 5.0
        assert _value(scores, "L6", "paper", "axial", "whole", "dropped") == 0
        assert _value(score_files(*masks).scores, "L6", "paper", "axial", "whole", "dropped") == 1


class TestForms:
    def _run(self, *arguments) -> str:
        result = CliRunner().invoke(app, ["score", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.stdout

    def test_table(self, masks):
        printed = self._run(*masks)
        assert "L6, 3D" in printed
        assert "0.750" in printed
        for metric in METRICS.values():
            assert metric.label in printed
        assert "1 − (Vgt − Vpred) / (Vgt + Vpred)" in printed
        assert names(printed, "0 in 3D, 2 in slices", "(strict)")
        assert printed.count("25%") == 2

    def test_csv(self, masks):
        table = pd.read_csv(io.StringIO(self._run(*masks, "--format", "csv")), dtype={"unit": str})
        # Texts may be stored in another way.
        pd.testing.assert_frame_equal(table.astype(score_files(*masks).scores.dtypes), score_files(*masks).scores)

    def test_json(self, masks):
        content = json.loads(self._run(*masks, "--format", "json", "--empty-masks", "formula"))
        assert content["empty_masks"]["policy"] == "formula"
        assert set(content["metrics"]) == set(METRICS)
        assert set(content["scores"][0]) == set(COLUMNS)

    def test_into_a_file(self, masks, tree):
        path = tree.base / "scores.csv"
        assert self._run(*masks, "--format", "csv", "--output", path) == ""
        assert len(pd.read_csv(path)) == len(score_files(*masks).scores)


class TestUnscored:
    def test_the_others_are_scored_and_the_status_is_1(self, masks):
        (masks[0] / "L6.nrrd").write_text("no volume")
        (masks[0] / "stranger.nrrd").write_bytes((masks[0] / "R7.nrrd").read_bytes())
        (masks[1] / "absent.nrrd").write_bytes((masks[0] / "R7.nrrd").read_bytes())
        (masks[0] / "twice.nrrd").write_bytes(b"")
        (masks[0] / "twice.nii").write_bytes(b"")
        outcome = score_files(*masks)
        assert outcome.scores["case"].unique().tolist() == ["R7"]
        assert [one.case for one in outcome.unscored] == ["L6", "absent", "stranger", "twice"]
        for form in ("table", "csv", "json"):
            result = CliRunner().invoke(app, ["score", *map(str, masks), "--format", form])
            assert result.exit_code == 1
            assert all(one.reason in result.stderr for one in outcome.unscored)
            assert "R7" in result.stdout
        assert [one["case"] for one in json.loads(result.stdout)["unscored"]] == ["L6", "absent", "stranger", "twice"]

    @pytest.mark.parametrize("ending", [".nrrd", ".nii"])
    def test_whatever_a_header_holds_the_other_case_is_scored(self, masks, ending):
        """Bytes of the header are changed at random; the case is scored or named, and nothing is raised."""
        rng = np.random.default_rng(17)
        path = masks[0] / f"L6{ending}"
        image = sitk.ReadImage(str(masks[0] / "L6.nrrd"))
        (masks[0] / "L6.nrrd").unlink()
        sitk.WriteImage(image, str(path))
        whole = path.read_bytes()
        named = 0
        for _ in range(40):
            content = bytearray(whole)
            places = rng.integers(0, 348 if ending == ".nii" else whole.index(b"\n\n"), rng.integers(1, 12))
            for place in places:
                content[place] = rng.integers(0, 256)
            path.write_bytes(content)
            outcome = score_files(*masks)
            scored, unscored = set(outcome.scores["case"]), {one.case for one in outcome.unscored}
            assert (scored | unscored, scored & unscored) == ({"L6", "R7"}, set())
            assert "R7" in scored
            named += len(unscored)
        assert named > 3, "the changes matter"


class TestRefused:
    def test_no_pair_at_all(self, masks):
        for case in ("L6", "R7"):
            (masks[0] / f"{case}.nrrd").rename(masks[0] / f"other{case}.nrrd")
        with refused("unscorable", "L6.nrrd", "otherR7.nrrd") as error:
            score_files(*masks)
        assert str(error.value).count("\n") == 3, "two predictions and two references without a partner"

    def test_a_file_that_cannot_be_scored(self, masks):
        (masks[0] / "L6.nrrd").write_text("no volume")
        with refused("unscorable", masks[0] / "L6.nrrd"):
            score_files(masks[0] / "L6.nrrd", masks[1] / "L6.nrrd")

    def test_a_file_and_a_folder(self, masks):
        with refused("invalid-option", masks[0], masks[1] / "L6.nrrd"):
            score_files(masks[0], masks[1] / "L6.nrrd")

    def test_paths_that_do_not_exist_and_folders_without_masks(self, masks, tree):
        with refused("not-found", tree.base / "nowhere"):
            score_files(tree.base / "nowhere", masks[1])
        (tree.base / "empty").mkdir()
        with refused("no-predictions", tree.base / "empty"):
            score_files(tree.base / "empty", masks[1])

    def test_unknown_names_and_a_target_that_cannot_be_written(self, masks, tree):
        with refused("invalid-option", "kind"):
            score_files(*masks, policy="kind")
        outcome = score_files(*masks)
        with refused("invalid-option", "xml", "table, csv, json"):
            outcome.write("xml")
        with refused("cannot-write", tree.base / "nowhere"):
            outcome.write("csv", tree.base / "nowhere" / "scores.csv")
