"""Cases that cannot be planned: found before they are resampled, or named after nnU-Net has failed at them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.raw import training_cases
from nnunet_femur.errors import FemurError, InputError, SetupError
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_SHOWN = 20


@contextmanager
def naming_bad_cases(raw: Path, log: Path) -> Iterator[None]:
    """Turn whatever nnU-Net raises in this block into a message that names the cases behind it.

    Args:
        raw: The raw dataset.
        log: The file with nnU-Net's output.

    Raises:
        InputError: Some cases cannot be used.
        SetupError: nnU-Net failed, and all cases look usable.
    """
    try:
        yield
    except FemurError:
        raise
    except Exception as error:
        # Every case is read for this, so it is done after a failure only.
        refuse_cases(raw, problems_of_cases(raw))
        first = (str(error).strip().splitlines() or [""])[0]
        msg = (
            f"{raw}: nnU-Net stopped planning with {type(error).__name__}: {first} Its output is in {log}. If one of "
            "its processes has ended, memory may have run out: use --jobs 1."
        )
        raise SetupError(msg) from error


def refuse_cases(raw: Path, problems: Sequence[str]) -> None:
    """Stop because of cases that cannot be planned.

    Raises:
        InputError: There are such cases; the message names them, with the problem of each.
    """
    if not problems:
        return
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    lines = "\n  ".join([*problems[:_SHOWN], *more])
    # The others are not planned without them: the folds name all cases.
    number = "1 problem prevents" if len(problems) == 1 else f"{len(problems)} problems prevent"
    msg = f"{raw}: {number} planning. Correct these cases or leave them out, and convert again.\n  {lines}"
    raise InputError(msg)


def incomplete_cases(raw: Path) -> list[str]:
    """Return the cases that lack an image, of which nnU-Net would say nothing."""
    ending = _ending(raw)
    return [
        f"{case}: has a mask in labelsTr, but no image in imagesTr"
        for case in training_cases(raw)
        if not _images(raw, case, ending)
    ]


def too_thin(raw: Path, plans: Mapping[str, Any], configurations: Sequence[str], fingerprint: Any) -> list[str]:
    """Return the cases of which resampling to the plans' spacing would leave nothing.

    Args:
        raw: The raw dataset.
        plans: nnU-Net's plans.
        configurations: The configurations that will be preprocessed.
        fingerprint: nnU-Net's fingerprint of the dataset.
    """
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(dict(plans))
    cases = _trained(raw)
    found: dict[str, str] = {}
    for name in configurations:
        planned_mm = list(manager.get_configuration(name).spacing)
        for case, shape, mm in zip(cases, fingerprint["shapes_after_crop"], fingerprint["spacings"], strict=True):
            own_mm = [mm[axis] for axis in manager.transpose_forward]
            voxels = [shape[axis] for axis in manager.transpose_forward]
            # Configuration 2d keeps the distance of slices.
            target_mm = planned_mm if len(planned_mm) == len(own_mm) else [own_mm[0], *planned_mm]
            if min(compute_new_shape(voxels, own_mm, target_mm)) < 1:
                size = " x ".join(f"{count * edge:.3g}" for count, edge in zip(voxels, own_mm, strict=True))
                grid = " x ".join(f"{edge:.3g}" for edge in target_mm)
                found[case] = f"{case}: {size} mm is thinner than half a voxel of the plans ({name}: {grid} mm)"
    return list(found.values())


def problems_of_cases(raw: Path) -> list[str]:
    """Return what makes training cases unusable for nnU-Net, by reading them all.

    Args:
        raw: The raw dataset.
    """
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    description = read_json(raw / "dataset.json")
    ending = _ending(raw)
    labels = {value for value in description["labels"].values() if isinstance(value, int)}
    found, femurs = [], 0
    for case in training_cases(raw):
        images = _images(raw, case, ending)
        if not images:
            found.append(f"{case}: has a mask in labelsTr, but no image in imagesTr")
            continue
        reader = determine_reader_writer_from_dataset_json(description, str(images[0]), verbose=False)()
        problem, has_femur = _problem(reader, images, raw / "labelsTr" / f"{case}{ending}", labels)
        femurs += has_femur
        if problem:
            found.append(f"{case}: {problem}")
    if not found and not femurs:
        found.append("no mask contains femur")
    return found


def _problem(reader: Any, images: Sequence[Path], mask: Path, labels: set[int]) -> tuple[str, bool]:
    """The problem of a case, empty if it has none, and the presence of femur in its mask."""
    import numpy as np

    read: list[Any] = []
    for what, call in (
        ("image", lambda: reader.read_images([str(path) for path in images])),
        ("mask", lambda: reader.read_seg(str(mask))),
    ):
        try:
            read.append(call()[0])
        except Exception:  # noqa: BLE001  # readers raise anything; their text may quote a header
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


def _ending(raw: Path) -> str:
    return str(read_json(raw / "dataset.json")["file_ending"])


def _images(raw: Path, case: str, ending: str) -> list[Path]:
    """The channels of a case, which nnU-Net numbers with four digits."""
    folder = raw / "imagesTr"
    found = (folder / f"{case}_{number:04d}{ending}" for number in range(10_000))
    channels = []
    for path in found:
        if not path.is_file():
            break
        channels.append(path)
    return channels


def _trained(raw: Path) -> list[str]:
    """The cases in the order of nnU-Net's fingerprint."""
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    return list(get_filenames_of_train_images_and_targets(str(raw), read_json(raw / "dataset.json")))
