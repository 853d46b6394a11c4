"""Ensembles across methods: means worked out by hand, nnU-Net's own function as the oracle, and refusals."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.comparison.discovery import discover
from nnunet_femur.selection import Ensemble, ensemble
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "Ensemble__both__mean"


def _voxels(path: Path) -> NDArray[np.uint8]:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _noise(seed: int) -> Callable[[str, NDArray[np.float32]], NDArray[np.float32]]:
    """Return probabilities that depend on the case, and are unsure about many voxels."""

    def femur(case: str, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        rng = np.random.default_rng([seed, *case.encode()])
        return np.clip(0.2 + 0.5 * reference + rng.normal(0, 0.2, reference.shape), 0, 1)

    return femur


class TestMean:
    @pytest.mark.parametrize(("other", "femur"), [(0.8, True), (0.55, False)])
    def test_worked_by_hand(self, model: Callable[..., Path], raw: Path, *, other: float, femur: bool) -> None:
        """The means of 0.4 with 0.8 and with 0.55 are 0.6, which is femur, and 0.475, which is not."""
        members = [model("FemurScratchTrainer", 0.4), model("FemurThreePlaneTrainer", other)]
        made = ensemble(members, members[0].with_name(NAME))
        # Two validation cases in each of two folds, and two test cases by each.
        assert (made.folds, made.cases) == ((0, 1), 8)
        for part, labels, case in (
            ("fold_0/validation", "labelsTr", "L2"),
            ("fold_1/validation", "labelsTr", "R4"),
            ("fold_1/test", "labelsTs", "R6"),
        ):
            reference = _voxels(raw / labels / f"{case}.nrrd")
            assert np.array_equal(_voxels(made.folder / part / f"{case}.nrrd"), reference * femur)
        written = sitk.ReadImage(str(made.folder / "fold_0" / "validation" / "L1.nrrd"))
        expected = sitk.ReadImage(str(raw / "labelsTr" / "L1.nrrd"))
        assert written.GetDirection() == expected.GetDirection()
        assert written.GetOrigin() == expected.GetOrigin()

    def test_of_all_folds_together(self, model: Callable[..., Path], raw: Path) -> None:
        """Fold 0 of both gives 0.9 and 0.3, fold 1 gives 0.1 and 0.9 for the test set: 0.55 together is femur."""
        first, second = (
            model("FemurScratchTrainer", 0.9, folds=(0,)),
            model("FemurThreePlaneTrainer", 0.3, folds=(0,)),
        )
        model("FemurScratchTrainer", 0.1, folds=(1,))
        model("FemurThreePlaneTrainer", 0.9, folds=(1,))
        together = ensemble([first, second], first.with_name(NAME), test="ensemble")
        assert np.array_equal(_voxels(together.folder / "test" / "L5.nrrd"), _voxels(raw / "labelsTs" / "L5.nrrd"))
        assert not (together.folder / "fold_0" / "test").exists()
        alone = ensemble([first, second], first.with_name("Ensemble__alone__mean"))
        assert _voxels(alone.folder / "fold_0" / "test" / "L5.nrrd").any()
        assert not _voxels(alone.folder / "fold_1" / "test" / "L5.nrrd").any()

    def test_is_that_of_nnunet(self, model: Callable[..., Path], tmp_path: Path) -> None:
        """``nnunetv2.ensembling.ensemble.merge_files`` is the oracle; it needs the properties of the images."""
        from nnunetv2.ensembling.ensemble import merge_files
        from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient
        from nnunetv2.utilities.label_handling.label_handling import LabelManager

        members = [
            model(f"Femur{name}Trainer", _noise(seed)) for seed, name in enumerate(("Scratch", "ThreePlane", "X"))
        ]
        made = ensemble(members, members[0].with_name(NAME), folds=0)
        reader, labels = SimpleITKIOWithReorient(), LabelManager({"background": 0, "femur": 1}, None)
        for part, source, case in (("validation", "validation", "L1"), ("test", "test_probabilities", "R6")):
            files = [member / "fold_0" / source / f"{case}.npz" for member in members]
            properties = reader.read_seg(str(files[0].with_suffix(".nrrd")))[1]
            files[0].with_suffix(".pkl").write_bytes(pickle.dumps(properties))
            merge_files([str(file) for file in files], str(tmp_path / case), ".nrrd", reader, labels)
            own = _voxels(made.folder / "fold_0" / part / f"{case}.nrrd")
            assert np.array_equal(own, _voxels(tmp_path / f"{case}.nrrd"))
            assert 0 < own.sum() < own.size


class TestEntry:
    def test_is_a_method_of_the_comparison(self, model: Callable[..., Path]) -> None:
        members = [
            model("FemurUnetResNet34Trainer", 0.8, seconds=60),
            model("FemurThreePlaneTrainer", 0.9, seconds=30),
        ]
        made = ensemble(members, members[0].with_name(NAME))
        found = {(one.set, one.fold): one for one in discover(made.folder.parent).predictions if one.method == NAME}
        assert found.keys() == {("cv", "0"), ("cv", "1"), ("test", "0"), ("test", "1")}
        assert not any(one.missing or one.extra for one in found.values())
        assert found["test", "1"].seconds == 90
        assert found["test", "1"].traits.in_slices, "both members predict slices"
        assert repr(made) == f"Ensemble({NAME}: mean of 2 models, folds 0, 1, 8 predictions)"

    def test_of_slices_and_volumes_predicts_volumes(self, model: Callable[..., Path]) -> None:
        members = [model("FemurThreePlaneTrainer", 0.9), model("FemurScratchTrainer", 0.9)]
        made = ensemble(members, members[0].with_name(NAME), folds=[1], test="none")
        assert (made.folds, made.cases) == ((1,), 2)
        record = json.loads((made.folder / "run.json").read_text())
        assert record["works_in_slices"] is False
        assert record["recipe"]["members"] == [member.name for member in members]
        assert "seconds" not in record

    def test_replaces_an_earlier_one_whole(self, model: Callable[..., Path]) -> None:
        members = [model("FemurThreePlaneTrainer", 0.9), model("FemurScratchTrainer", 0.9)]
        output = members[0].with_name(NAME)
        ensemble(members, output)
        made = ensemble(members, output, folds=1, test="none")
        assert sorted(path.name for path in made.folder.glob("fold_*")) == ["fold_1"]
        (members[0] / "fold_0" / "validation" / "L1.npz").unlink()
        with refused("no-predictions"):
            ensemble(members, output)
        assert [path.name for path in output.parent.iterdir() if "partial" in path.name] == []
        assert (output / "fold_1" / "validation").is_dir(), "a failure keeps what was there"

    def test_killed_while_it_replaces_an_earlier_one(
        self, model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A half deleted folder without run.json would be refused as a folder of others by every later run."""
        members = [model("FemurThreePlaneTrainer", 0.9), model("FemurScratchTrainer", 0.9)]
        output = members[0].with_name(NAME)
        ensemble(members, output)

        def killed(folder: Path, **_: object) -> None:
            if (folder / "run.json").is_file():
                (folder / "run.json").unlink()
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("nnunet_femur.selection.candidates.rmtree", killed)
            with pytest.raises(KeyboardInterrupt):
                ensemble(members, output)
        ensemble(members, output)
        assert (output / "run.json").is_file()
        assert [path.name for path in output.parent.iterdir() if path.name.startswith(".")] == []

    def test_is_a_path(self, tmp_path: Path) -> None:
        assert str(tmp_path) == Ensemble(tmp_path, ("a", "b"), (5,), 1).__fspath__()


class TestRefusals:
    @pytest.fixture
    def members(self, model: Callable[..., Path]) -> list[Path]:
        return [model("FemurScratchTrainer", 0.9), model("FemurThreePlaneTrainer", 0.9)]

    def test_missing_probabilities_name_the_command(self, members: list[Path]) -> None:
        (members[1] / "fold_1" / "validation" / "L3.npz").unlink()
        with refused("no-predictions", "L3", "FemurThreePlaneTrainer", "3d_fullres 1", "--val --npz"):
            ensemble(members, members[0].with_name(NAME))

    def test_an_unpredicted_test_set(self, members: list[Path]) -> None:
        for path in (members[0] / "fold_0" / "test_probabilities").iterdir():
            path.unlink()
        with refused("no-predictions", "test_probabilities", "--save_probabilities"):
            ensemble(members, members[0].with_name(NAME))

    def test_probabilities_of_an_earlier_training(self, model: Callable[..., Path], members: list[Path]) -> None:
        stale = members[0] / "fold_0" / "validation" / "L1.npz"
        with np.load(stale) as content:
            probabilities = content["probabilities"]
        np.savez_compressed(stale, probabilities=probabilities[:, ::-1])
        with refused("inconsistent", stale):
            ensemble(members, members[0].with_name(NAME))

    def test_probabilities_of_another_grid(self, members: list[Path]) -> None:
        other = members[1] / "fold_1" / "validation" / "R4.npz"
        with np.load(other) as content:
            probabilities = content["probabilities"]
        np.savez_compressed(other, probabilities=probabilities[:, :-1])
        with refused("inconsistent", other, probabilities.shape[2]):
            ensemble(members, members[0].with_name(NAME))

    @pytest.mark.parametrize("content", [b"PK\x03\x04 damaged", b""])
    def test_damaged_probabilities(self, members: list[Path], content: bytes) -> None:
        damaged = members[1] / "fold_0" / "validation" / "L1.npz"
        damaged.write_bytes(content)
        with refused("unreadable", damaged):
            ensemble(members, members[0].with_name(NAME))

    def test_arrays_in_another_order_of_axes(self, model: Callable[..., Path], members: list[Path]) -> None:
        other = model("FemurXTrainer", 0.9, reader="SimpleITKIO")
        with refused("inconsistent", other, "SimpleITKIO"):
            ensemble([members[0], other], members[0].with_name(NAME))

    def test_networks_of_the_ends_among_others(self, model: Callable[..., Path], members: list[Path]) -> None:
        ends = model("FemurHeadUnetResNet34Trainer", 0.9)
        with refused("inconsistent", ends.name):
            ensemble([members[0], ends], members[0].with_name(NAME))

    def test_folds_that_are_not_shared(self, model: Callable[..., Path], members: list[Path]) -> None:
        one = model("FemurXTrainer", 0.9, folds=(1,))
        with refused("no-predictions", one, "fold 0"):
            ensemble([members[0], one], members[0].with_name(NAME), folds=[0, 1])

    def test_options(self, members: list[Path], tmp_path: Path) -> None:
        output = members[0].with_name(NAME)
        with refused("invalid-option", "test", "both"):
            ensemble(members, output, test="both")
        with refused("invalid-option", members[0].name):
            ensemble(members[:1], output)
        with refused("invalid-option", "twice"):
            ensemble([*members, members[0]], output)
        with refused("no-model", "nowhere"):
            ensemble([members[0], tmp_path / "nowhere"], output)
        with refused("exists", members[1]):
            ensemble(members, members[1])
        (members[1] / "plans.json").write_text("{")
        with refused("invalid-model", members[1]):
            ensemble(members, output)
