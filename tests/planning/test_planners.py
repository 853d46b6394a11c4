"""nnU-Net's planners by name, and plans of residual encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.planning import PRESETS, dataset_plan, plan
from nnunet_femur.planning.planners import (
    default_plans_name,
    find_planner,
    known_planners,
    planner_class,
    planner_problem,
)
from tests.refusing import names, refused

if TYPE_CHECKING:
    from pathlib import Path


class TestNames:
    def test_every_planner_of_nnunet_is_known(self) -> None:
        for name in ("ResEncM", "ResEncL", "ResEncXL", "nnUNetPlannerResEncL", "ExperimentPlanner"):
            assert planner_problem(name) is None
        assert "nnUNetPlannerResEncL_torchres" in known_planners()

    def test_typing_errors(self) -> None:
        assert names(planner_problem("ResEncMM") or "", "ResEncMM", "ResEncM'")
        assert names(planner_problem("zzz") or "", "zzz", *known_planners())

    @pytest.mark.parametrize("size", ["M", "L", "XL"])
    def test_short_names_are_the_classes_of_nnunet(self, size: str) -> None:
        """The defaults of the classes are nnU-Net's; the short names' are known without importing them."""
        import inspect

        found = find_planner(f"ResEnc{size}")
        assert found.__name__ == f"nnUNetPlannerResEnc{size}"
        assert inspect.signature(found).parameters["plans_name"].default == default_plans_name(f"ResEnc{size}")

    def test_others_are_asked_for_the_name_of_their_plans(self) -> None:
        import inspect

        name = "nnUNetPlannerResEncL_torchres"
        default = inspect.signature(find_planner(name)).parameters["plans_name"].default
        assert default_plans_name(name) == default != "nnUNetPlans"

    def test_an_importable_class(self) -> None:
        module = "nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners"
        assert find_planner(f"{module}.nnUNetPlannerResEncM") is find_planner("ResEncM")
        for name in ("no_such_module.Planner", f"{module}.NoSuchPlanner", "pathlib.Path"):
            with refused("invalid-option", name):
                find_planner(name)


class TestSmallPreset:
    def test_limits_any_planner(self) -> None:
        small, stock = planner_class("ResEncM", PRESETS["small"]), find_planner("ResEncM")
        assert issubclass(small, stock)
        assert small.__name__ == "SmallnnUNetPlannerResEncM"
        assert planner_class("ResEncM", PRESETS["default"]) is stock
        assert planner_class(None, PRESETS["small"]).__name__ == "SmallPlanner"


class TestRefusals:
    """They come before nnU-Net is imported."""

    def test_unknown_planners(self) -> None:
        with refused("invalid-option", "planner", "ResEncMM"):
            plan(1, planner="ResEncMM")

    def test_beside_plans_that_exist(self) -> None:
        with refused("invalid-option", "planner"):
            plan(1, source="totalsegmentator", planner="ResEncM")


@pytest.mark.integration
def test_plans_of_a_residual_encoder(nnunet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have a residual network, and data of their own, so that those of other plans stay as they are."""
    # Fingerprint and preprocessing do not depend on the planner, and start processes.
    monkeypatch.setattr(dataset_plan, "_extract_fingerprint", lambda *_, **__: None)
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    monkeypatch.setattr(dataset_plan, "_ceiling", lambda *_: None)
    preprocessed: list[dict[str, Any]] = []
    monkeypatch.setattr(dataset_plan, "_preprocess", lambda _, plans, *__, **___: preprocessed.append(plans) or {})
    options: dict[str, Any] = {"preset": "small", "configurations": "3d_fullres", "jobs": 1}
    made = plan(1, planner="ResEncM", **options)
    assert made.plans_file == nnunet / "nnUNet_preprocessed" / "Dataset001_Femur" / "nnUNetResEncUNetMPlans.json"
    configuration = preprocessed[0]["configurations"]["3d_fullres"]
    assert configuration["architecture"]["network_class_name"].endswith("ResidualEncoderUNet")
    assert configuration["architecture"]["arch_kwargs"]["features_per_stage"][:2] == [8, 16]
    assert max(configuration["patch_size"]) <= 48
    assert configuration["data_identifier"] == "nnUNetResEncUNetMPlans_3d_fullres"
    plan(1, planner="nnUNetPlannerResEncM", **options)
    assert len(preprocessed) == 1, "the same planner by its class name"
    plan(1, plans_name="nnUNetResEncUNetMPlans", **options)
    assert len(preprocessed) == 2, "another planner under the same name of plans"
    assert preprocessed[1]["configurations"]["3d_fullres"]["architecture"]["network_class_name"].endswith(
        "PlainConvUNet"
    )
