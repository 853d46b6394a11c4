"""Cases that cannot be planned: found before they are resampled, or named after nnU-Net has failed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.raw import IMAGES_TR, LABELS_TR
from nnunet_femur.errors import FemurError, InputError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.dataset.raw import RawDataset

_SHOWN = 20
"""Largest number of problems in a message."""

_NO_IMAGE = f"has a mask in {LABELS_TR}, but no image in {IMAGES_TR}"


@contextmanager
def naming_bad_cases(raw: RawDataset, log: Path) -> Iterator[None]:
    """Replace any error that nnU-Net raises in this block by a message that names the cases that caused it.

    Args:
        raw: The raw dataset.
        log: The file with nnU-Net's output.

    Raises:
        InputError: Some cases cannot be used (code "bad-cases").
        SetupError: nnU-Net failed although all cases can be used.
    """
    try:
        yield
    except FemurError:
        raise
    except Exception as error:
        # This reads every case, so it is done after a failure only.
        refuse_cases(raw, problems_of_cases(raw))
        first = (str(error).strip().splitlines() or [""])[0]
        msg = (
            f"{raw.folder}: nnU-Net's planning failed with {type(error).__name__}: {first} Its output is in {log}. If "
            "one of its processes has ended, the memory may be exhausted: use --jobs 1."
        )
        raise SetupError(msg, code="setup") from error


def refuse_cases(raw: RawDataset, problems: Sequence[str]) -> None:
    """Refuse a dataset with cases that cannot be planned.

    Args:
        raw: The raw dataset.
        problems: Each case and its problem.

    Raises:
        InputError: There are problems; the message contains them (code "bad-cases").
    """
    if not problems:
        return
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    lines = "\n  ".join([*problems[:_SHOWN], *more])
    # The other cases are not planned alone, since the folds name all cases.
    number = "1 problem prevents" if len(problems) == 1 else f"{len(problems)} problems prevent"
    msg = f"{raw.folder}: {number} planning. Correct these cases or leave them out, and convert again.\n  {lines}"
    raise InputError(msg, code="bad-cases")


def incomplete_cases(raw: RawDataset) -> list[str]:
    """Return the training cases without an image, with their problem; nnU-Net does not report them.

    Args:
        raw: The raw dataset.
    """
    return [f"{case}: {_NO_IMAGE}" for case in raw.cases() if not raw.channel_files(case)]


def too_thin(raw: RawDataset, plans: Mapping[str, Any], configurations: Sequence[str], fingerprint: Any) -> list[str]:
    """Return the cases that resampling to the plans' spacing would reduce to zero voxels along an axis.

    Args:
        raw: The raw dataset.
        plans: nnU-Net's plans.
        configurations: The configurations to preprocess.
        fingerprint: nnU-Net's fingerprint of the dataset.
    """
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(dict(plans))
    cases = _training_cases(raw)
    found: dict[str, str] = {}
    for name in configurations:
        planned_mm = list(manager.get_configuration(name).spacing)
        for case, shape, mm in zip(cases, fingerprint["shapes_after_crop"], fingerprint["spacings"], strict=True):
            own_mm = [mm[axis] for axis in manager.transpose_forward]
            voxels = [shape[axis] for axis in manager.transpose_forward]
            # The configuration 2d keeps the spacing across slices.
            target_mm = planned_mm if len(planned_mm) == len(own_mm) else [own_mm[0], *planned_mm]
            if min(compute_new_shape(voxels, own_mm, target_mm)) < 1:
                size = " x ".join(f"{count * edge:.3g}" for count, edge in zip(voxels, own_mm, strict=True))
                grid = " x ".join(f"{edge:.3g}" for edge in target_mm)
                found[case] = f"{case}: {size} mm is thinner than half a voxel of the plans ({name}: {grid} mm)"
    return list(found.values())


def problems_of_cases(raw: RawDataset) -> list[str]:
    """Read all training cases and return the problems that prevent planning.

    Args:
        raw: The raw dataset.
    """
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    labels = {value for value in raw.labels.values() if isinstance(value, int)}
    found, femurs = [], 0
    for case in raw.cases():
        images = raw.channel_files(case)
        if not images:
            found.append(f"{case}: {_NO_IMAGE}")
            continue
        reader = determine_reader_writer_from_dataset_json(raw.description, str(images[0]), verbose=False)()
        problem, has_femur = _problem(reader, images, raw.mask(case), labels)
        femurs += has_femur
        if problem:
            found.append(f"{case}: {problem}")
    if not found and not femurs:
        found.append("no mask contains femur")
    return found


def _problem(reader: Any, images: Sequence[Path], mask: Path, labels: set[int]) -> tuple[str, bool]:
    """Return the problem of a case, empty if it has none, and True if its mask contains femur."""
    import numpy as np

    read: list[Any] = []
    for what, call in (
        ("image", lambda: reader.read_images([str(path) for path in images])),
        ("mask", lambda: reader.read_seg(str(mask))),
    ):
        try:
            read.append(call()[0])
        except Exception:  # noqa: BLE001 - readers raise anything, and their text may quote a header
            return f"its {what} cannot be read", False
    volume, reference = read
    problem = ""
    if volume.shape[1:] != reference.shape[1:]:
        sizes = (" x ".join(map(str, each.shape[1:])) for each in read)
        problem = "image ({}) and mask ({}) differ in size".format(*sizes)
    elif not np.isfinite(volume).all():
        problem = "its image contains NaN or infinite values"
    elif not set(np.unique(reference).tolist()) <= labels:
        problem = "its mask contains values that dataset.json does not list"
    return problem, bool((reference > 0).any())


def _training_cases(raw: RawDataset) -> list[str]:
    """Return the training cases in the order of nnU-Net's fingerprint."""
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    return list(get_filenames_of_train_images_and_targets(str(raw.folder), raw.description))
