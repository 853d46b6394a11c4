"""Models and CTs of the true-size benchmark: TotalSegmentator's topology with dummy weights that find a phantom.

A network of TotalSegmentator's size cannot be trained here. So a network with the same stages and fewer features is
trained, and placed into the large one: its channels are the first ones of each stage, and they read nothing from the
others, whose weights are random. So the large network computes what the small one does, in its own time.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import torch

from nnunet_femur.atomic_files import write_json, write_text, written_beside
from nnunet_femur.dataset.nnunet_names import DATASET_FINGERPRINT, FULLRES, PLANS_JSON
from nnunet_femur.dataset.raw import DATASET_JSON
from nnunet_femur.progress import TerminalProgress
from nnunet_femur.records import read_json
from nnunet_femur.testing import make_phantom
from nnunet_femur.testing.dummy_plans import (
    NOTE,
    intensity_statistics,
    make_dataset_json,
    make_fingerprint,
    make_plans,
    phantom_cases,
    read_case,
)
from nnunet_femur.testing.dummy_training import preprocess, train
from nnunet_femur.weights.models import (
    CHECKPOINT,
    DUMMY_NOTE,
    ModelEntry,
    SourceModel,
    crop_entry,
    femur_entry,
    open_model,
    other_parts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RECORD = "true_size.json"
"""Record in the folder of a model: the size that it was made with."""

CTS = ("one-leg", "both-legs")
"""Names of the CTs."""

PHANTOM = 3
"""Seed of the first measured phantom; training uses other seeds."""


@dataclass(frozen=True)
class Size:
    """Sizes of networks and CTs.

    Attributes:
        features: Features of the first stage.
        trained: Features of the first stage of the network that is trained.
        spacing_mm: Spacing of the femur model.
        patch: Edge of its windows.
        trained_patch: Edge of the windows in its training.
        crop_patch: Edge of the windows of the 6 mm model.
        iterations: Training steps of the femur model.
        crop_iterations: Training steps of the 6 mm model.
        cases: Training phantoms.
        ct_zyx: Voxels of a CT of one leg.
        ct_mm_zyx: Their spacing.
    """

    features: int = 32
    trained: int = 8
    spacing_mm: float = 1.5
    patch: int = 128
    trained_patch: int = 64
    crop_patch: int = 32
    iterations: int = 200
    crop_iterations: int = 300
    cases: int = 8
    ct_zyx: tuple[int, int, int] = (300, 336, 256)
    ct_mm_zyx: tuple[float, float, float] = (2.0, 0.74, 0.74)


TRUE_SIZE = Size()
"""TotalSegmentator's femur model, and a CT of one leg from a hospital."""

SMALL = Size(features=8, patch=64, ct_zyx=(150, 336, 256))
"""A network that takes seconds instead of minutes, and the upper half of a CT."""

TINY = Size(
    features=4,
    trained=2,
    spacing_mm=6.0,
    patch=32,
    trained_patch=32,
    crop_patch=32,
    iterations=20,
    crop_iterations=20,
    cases=2,
    ct_zyx=(60, 40, 32),
    ct_mm_zyx=(8.0, 6.0, 6.0),
)
"""Sizes for tests of the benchmark itself; its times mean nothing."""


def write_models(folder: Path, size: Size, *, device: str = "cpu") -> tuple[SourceModel, SourceModel]:
    """Return the femur's model and the 6 mm model in a folder of weights, trained if they are not there.

    Args:
        folder: The folder, in TotalSegmentator's layout.
        size: Sizes of the networks.
        device: Device of the training.
    """
    for dataset in other_parts():
        (folder / dataset).mkdir(parents=True, exist_ok=True)
    crop = replace(
        size,
        spacing_mm=crop_entry().spacing_mm,
        patch=size.crop_patch,
        trained_patch=size.crop_patch,
        iterations=size.crop_iterations,
    )
    for entry, each in ((femur_entry(), size), (crop_entry(), crop)):
        record = {
            name: getattr(each, name)
            for name in ("features", "trained", "spacing_mm", "patch", "trained_patch", "iterations", "cases")
        }
        if read_json(folder / entry.folder / RECORD) != record:
            _write_model(folder, entry, each, device)
            write_json(folder / entry.folder / RECORD, record)
    return open_model(folder, femur_entry()), open_model(folder, crop_entry())


def _write_model(weights: Path, entry: ModelEntry, size: Size, device: str) -> None:
    cases = [read_case(case, entry.classes) for case in phantom_cases(size.cases, spacing_mm=max(2.0, size.spacing_mm))]
    intensities = intensity_statistics(np.concatenate([hu[hu > -200][::7] for hu, _, _ in cases]))
    shapes = [np.round(np.array(hu.shape) * mm / size.spacing_mm).astype(int) for hu, _, mm in cases]
    common: dict[str, Any] = {
        "spacing_mm": size.spacing_mm,
        "patch": size.patch,
        "plans_format": "old",
        "intensities": intensities,
        "median_shape_zyx": np.median(shapes, axis=0),
    }
    small, large = (make_plans(entry, features=features, **common) for features in (size.trained, size.features))
    small["configurations"][FULLRES]["patch_size"] = [size.trained_patch] * 3
    dataset_json = make_dataset_json(entry, cases=len(cases))
    volumes = preprocess(cases, small, dataset_json)
    how = {"iterations": size.iterations, "seed": 0, "device": device, "progress": TerminalProgress()}
    trained = train(volumes, small, channels=entry.channels, **how)
    weights_of = widened(trained["network_weights"], network_of(large, entry.channels).state_dict())
    shutil.rmtree(weights / entry.dataset, ignore_errors=True)
    folder = weights / entry.folder
    (folder / CHECKPOINT).parent.mkdir(parents=True)
    write_text(weights / entry.dataset / DUMMY_NOTE, NOTE + "\n")
    write_json(folder / PLANS_JSON, large)
    write_json(folder / DATASET_JSON, dataset_json)
    write_json(
        folder / DATASET_FINGERPRINT,
        make_fingerprint(
            shapes_zyx=[shape.tolist() for shape in shapes], spacing_mm=size.spacing_mm, intensities=intensities
        ),
    )
    described = {
        "plans": large,
        "configuration": FULLRES,
        "fold": 0,
        "dataset_json": dataset_json,
        "device": torch.device("cpu"),
    }
    content = {"network_weights": weights_of, "init_args": described, "trainer_name": entry.trainer}
    with written_beside(folder / CHECKPOINT) as partial:
        torch.save({**trained, **content, "optimizer_state": {}, "inference_allowed_mirroring_axes": None}, partial)


def network_of(plans: dict[str, Any], channels: int, *, seed: int = 0) -> torch.nn.Module:
    """Return nnU-Net's network of the plans with random weights, without deep supervision."""
    import copy
    import warnings

    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        configuration = PlansManager(copy.deepcopy(plans)).get_configuration(FULLRES)
        return get_network_from_plans(
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            1,
            channels,
            allow_init=True,
            deep_supervision=False,
        )


def widened(trained: Mapping[str, torch.Tensor], random: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a network that computes what a narrower one of the same stages does.

    Args:
        trained: Weights of the narrow network.
        random: Weights of the wide one.
    """
    result = {}
    for key, wide in random.items():
        narrow, filled = trained[key], wide.detach().clone()
        if filled.dim() == 1:
            filled[: len(narrow)] = narrow
        else:
            axes = (1, 0) if "transpconvs" in key else (0, 1)
            target, source = filled.movedim(axes, (0, 1)), narrow.movedim(axes, (0, 1))
            # A decoder's stage begins with the channels from below and those of the skip connection, side by side.
            beside = "decoder.stages." in key and ".convs.0." in key
            inputs, outputs = _kept(source.shape[1], target.shape[1], halves=beside), len(source)
            target[:outputs] = 0
            target[:outputs, inputs] = source
        result[key] = filled
    return result


def _kept(narrow: int, wide: int, *, halves: bool) -> torch.Tensor:
    if not halves:
        return torch.arange(narrow)
    half = torch.arange(narrow // 2)
    return torch.cat([half, wide // 2 + half])


def write_cts(folder: Path, size: Size) -> dict[str, tuple[Path, Path]]:
    """Return the files of CT and reference mask by name: one leg, and both legs; written if they are not there."""
    files = {name: (folder / f"{name}.nii.gz", folder / f"{name}_reference.nii.gz") for name in CTS}
    for name, paths in files.items():
        if all(path.is_file() for path in paths):
            continue
        sides = ("left",) if name == "one-leg" else ("right", "left")
        legs = [
            make_phantom(PHANTOM + i, side=side, size_zyx=size.ct_zyx, spacing_mm_zyx=size.ct_mm_zyx)
            for i, side in enumerate(sides)
        ]
        for kind, path in zip(("image", "mask"), paths, strict=True):
            # In the patient's space x points to the left: the right leg comes first.
            joined = np.concatenate([sitk.GetArrayViewFromImage(getattr(leg, kind)) for leg in legs], axis=2)
            image = sitk.GetImageFromArray(joined)
            image.SetSpacing(legs[0].image.GetSpacing())
            image.SetOrigin(legs[0].image.GetOrigin())
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(path, ending=".nii.gz") as partial:
                sitk.WriteImage(image, str(partial), True)  # noqa: FBT003
    return files
