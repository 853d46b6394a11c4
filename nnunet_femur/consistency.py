"""Consistency checks: data, plans and weights that were not made for each other are refused.

The study's fine-tuning failed because a folder of data was renamed until its name fitted other plans, and names prove
nothing. Therefore a *fingerprint* of what the plans define about data and network is kept in three places, which cannot
be brought together by copying or renaming: beside the preprocessed data, in the plans (and so in every checkpoint), and
in the weights of fine-tuned networks. Before training and prediction the fingerprints are compared with the plans that
nnU-Net is about to use.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_json
from nnunet_femur.dataset.nnunet_names import PLANS_NAME
from nnunet_femur.errors import SetupError, ending_without_traceback
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import nn


FINGERPRINT_KEY = "femur_guard"
"""Key of a configuration in the plans, and name of a network's buffer, that contain a fingerprint."""

FINGERPRINT_FILE = "femur_guard/fingerprint.json"
"""File with the fingerprint of preprocessed data, relative to their folder.

It is inside that folder, so that it is moved and copied with the data, and in a subfolder, since nnU-Net would take
another file in the folder itself for data of an unknown format."""

SOURCE_KEY = "femur_source"
"""Key of a configuration in the plans that names the model for whose weights it was made; absent in other plans."""

_FROM_CONFIGURATION = {
    "spacing_mm": "spacing",
    "normalisation": "normalization_schemes",
    "normalisation inside a mask": "use_mask_for_norm",
    "preprocessor": "preprocessor_name",
    "resampling of images": "resampling_fn_data",
    "resampling of images, options": "resampling_fn_data_kwargs",
    "resampling of masks": "resampling_fn_seg",
    "resampling of masks, options": "resampling_fn_seg_kwargs",
    "resampling of predictions": "resampling_fn_probabilities",
    "resampling of predictions, options": "resampling_fn_probabilities_kwargs",
}
_FROM_PLANS = {
    "orientation": "image_reader_writer",
    "order of axes": "transpose_forward",
}
_NETWORK = "network"
_STATISTICS = ("mean", "std", "percentile_00_5", "percentile_99_5")
"""Statistics of the intensities that nnU-Net's normalisation of CTs uses."""


@dataclass(frozen=True)
class Difference:
    """A property in which two fingerprints differ.

    Attributes:
        what: The property.
        expected: Its value in the first fingerprint.
        found: Its value in the second fingerprint.
    """

    what: str
    expected: Any
    found: Any


def resolve(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration of nnU-Net's plans with the values that it inherits, in nnU-Net's new format.

    Args:
        plans: nnU-Net's plans.
        name: Name of the configuration.
    """
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    resolved: dict[str, Any] = PlansManager(dict(plans)).get_configuration(name).configuration
    return resolved


def fingerprint(plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of data and network that plans define, as flat JSON.

    Args:
        plans: nnU-Net's plans.
        configuration: One of their configurations, resolved.

    Returns:
        Spacing in mm along the array axes, orientation (nnU-Net's reader), order of axes, normalisation and its
        statistics, resampling, and the topology of the network; each under a readable name.
    """
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    found = {what: configuration.get(key) for what, key in _FROM_CONFIGURATION.items()}
    found |= {what: plans.get(key) for what, key in _FROM_PLANS.items()}
    for channel, values in PlansManager(dict(plans)).foreground_intensity_properties_per_channel.items():
        for name in _STATISTICS:
            found[f"intensities of channel {channel}: {name}"] = values[name]
    architecture = configuration["architecture"]
    found[_NETWORK] = architecture["network_class_name"]
    found |= {f"{_NETWORK}: {name}": value for name, value in architecture["arch_kwargs"].items()}
    # Through JSON, so that it equals a fingerprint that was read from a file: no tuples, no numbers of numpy.
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def differences(expected: Mapping[str, Any], found: Mapping[str, Any], *, network: bool = True) -> list[Difference]:
    """Return the properties in which two fingerprints differ.

    Args:
        expected: The first fingerprint.
        found: The second fingerprint.
        network: Compare the topology of the network too.

    Example:
        >>> differences({"spacing_mm": [1.5, 1.5, 1.5]}, {"spacing_mm": [3.0, 1.5, 1.5]})
        [Difference(what='spacing_mm', expected=[1.5, 1.5, 1.5], found=[3.0, 1.5, 1.5])]
    """
    names = [*expected, *(name for name in found if name not in expected)]
    return [
        Difference(name, expected.get(name), found.get(name))
        for name in names
        if (network or not name.startswith(_NETWORK)) and expected.get(name) != found.get(name)
    ]


def table(found: Iterable[Difference], *, left: str, right: str) -> str:
    """Return differences as a table of text.

    Args:
        found: The differences, a row each.
        left: Heading of the expected values.
        right: Heading of the found values.
    """
    rows = [("", left, right), *((row.what, _short(row.expected), _short(row.found)) for row in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " x ".join(_short(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def add_fingerprints(plans: dict[str, Any]) -> None:
    """Write the fingerprint of every configuration into plans.

    Args:
        plans: nnU-Net's plans; changed in place.
    """
    for name, configuration in plans["configurations"].items():
        configuration[FINGERPRINT_KEY] = fingerprint(plans, resolve(plans, name))


def write_data_fingerprint(folder: Path, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> Path:
    """Write the fingerprint of the plans beside the data that were preprocessed with them.

    Args:
        folder: nnU-Net's folder of preprocessed cases, such as ``nnUNetPlans_3d_fullres``.
        plans: The plans.
        configuration: One of their configurations, resolved.

    Returns:
        The written file.
    """
    file = folder / FINGERPRINT_FILE
    file.parent.mkdir(exist_ok=True)
    write_json(file, fingerprint(plans, configuration))
    return file


def check_plans(plans: Mapping[str, Any], configuration: Mapping[str, Any], *, where: str) -> None:
    """Refuse plans that were changed after their fingerprint was written; plans without a fingerprint pass.

    Args:
        plans: nnU-Net's plans.
        configuration: One of their configurations, resolved.
        where: The file of the plans, for the message.

    Raises:
        SetupError: The plans were changed; the message contains a table of the differences (code "inconsistent").
    """
    written = configuration.get(FINGERPRINT_KEY)
    if written is None:
        return
    found = differences(written, fingerprint(plans, configuration), network=SOURCE_KEY in configuration)
    if found:
        msg = (
            f"{where}: these plans were changed after they were made.\n"
            f"{table(found, left='as made', right='now')}\nRun: {plan_command(plans, configuration)}"
        )
        raise SetupError(msg, code="inconsistent")


def check_data(folder: Path, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Refuse preprocessed data that were not made with these plans.

    The fingerprint beside the data must be that of the plans, and the shapes of the preprocessed arrays must fit the
    spacing of the plans.

    Args:
        folder: nnU-Net's folder of preprocessed cases, such as ``nnUNetPlans_3d_fullres``.
        plans: The plans that nnU-Net is about to use.
        configuration: One of their configurations, resolved.

    Raises:
        SetupError: Data and plans differ; the message contains a table of the differences. Or the plans were made for
            the weights of a model, but the data have no fingerprint (code "inconsistent").
    """
    written = read_json(folder / FINGERPRINT_FILE)
    transferred = SOURCE_KEY in configuration
    if written is None and transferred:
        msg = (
            f"{folder}: contains no {FINGERPRINT_FILE}, so it is unknown which plans these data were made with. "
            f"Run: {plan_command(plans, configuration)}"
        )
        raise SetupError(msg, code="inconsistent")
    if written is not None:
        found = differences(written, fingerprint(plans, configuration), network=transferred)
        if found:
            msg = (
                f"{folder}: these data were not preprocessed with the plans that are used now.\n"
                f"{table(found, left='the data', right='the plans')}\nRun: {plan_command(plans, configuration)}"
            )
            raise SetupError(msg, code="inconsistent")
    _check_shapes(folder, plans, configuration)


def check_same(
    stored: Mapping[str, Any], plans: Mapping[str, Any], configuration: Mapping[str, Any], *, where: str
) -> None:
    """Refuse weights that were trained with other plans.

    Args:
        stored: The fingerprint in the weights.
        plans: The plans that nnU-Net is about to use.
        configuration: One of their configurations, resolved.
        where: Name of the weights, for the message.

    Raises:
        SetupError: Weights and plans differ; the message contains a table of the differences (code "inconsistent").
    """
    found = differences(stored, fingerprint(plans, configuration))
    if found:
        msg = (
            f"{where}: these weights were trained with other plans.\n"
            f"{table(found, left='the weights', right='the plans')}\n"
            "Restore the plans.json of the model, or train again with these plans."
        )
        raise SetupError(msg, code="inconsistent")


def plan_command(plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> str:
    """Return the command that makes plans, and data for them, again.

    Args:
        plans: nnU-Net's plans.
        configuration: One of their configurations, resolved.

    Example:
        >>> plan_command({"dataset_name": "Dataset001_Femur", "plans_name": "Second"}, {"femur_source": {"fast": True}})
        'nnfemur plan -d 1 --from totalsegmentator --fast --plans-name Second'
        >>> plan_command({"dataset_name": "Dataset001_Femur", "experiment_planner_used": "nnUNetPlannerResEncM"}, {})
        'nnfemur plan -d 1 --planner nnUNetPlannerResEncM'
    """
    number = str(plans.get("dataset_name", ""))[7:10].lstrip("0") or "N"
    source = configuration.get(SOURCE_KEY)
    if source is not None:
        options = " --from totalsegmentator" + (" --fast" if source.get("fast") else "")
    else:
        # The planner of a small preset is named after the planner that it limits.
        planner = str(plans.get("experiment_planner_used", "")).removeprefix("Small")
        options = "" if planner in ("", "Planner", "ExperimentPlanner") else f" --planner {planner}"
    name = plans.get("plans_name", PLANS_NAME)
    named = "" if name == PLANS_NAME else f" --plans-name {name}"
    return f"nnfemur plan -d {number}{options}{named}"


def _check_shapes(folder: Path, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    import blosc2
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape

    spacing = list(configuration["spacing"])
    for record in sorted(folder.glob("*.pkl")):
        array = record.with_suffix(".b2nd")
        if not array.exists():
            continue
        with record.open("rb") as file:
            properties = pickle.load(file)  # noqa: S301 - nnU-Net's own, as it reads them itself
        original = [properties["spacing"][axis] for axis in plans["transpose_forward"]]
        cropped = properties["shape_after_cropping_and_before_resampling"]
        target = [*original[: len(original) - len(spacing)], *spacing]
        expected = [int(n) for n in compute_new_shape(cropped, original, target)]
        found = [int(n) for n in blosc2.open(str(array), mode="r").shape[1:]]
        if found != expected:
            msg = (
                f"{array}: contains {_short(found)} voxels, expected {_short(expected)} at the plans' spacing of "
                f"{_short(spacing)} mm. These data belong to other plans. Run: {plan_command(plans, configuration)}"
            )
            raise SetupError(msg, code="inconsistent")


def add_network_fingerprint(network: nn.Module, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Make a network refuse weights that were trained with other plans.

    nnU-Net loads any weights whose shapes fit, but spacing and intensities do not change shapes. The fingerprint
    becomes a buffer of bytes in the network. It is saved and loaded with the weights, and compared before any of them
    is loaded.

    Args:
        network: The network; gets the buffer :data:`FINGERPRINT_KEY`.
        plans: nnU-Net's plans.
        configuration: One of their configurations, resolved.
    """
    import torch

    text = json.dumps(fingerprint(plans, configuration), sort_keys=True)
    network.register_buffer(FINGERPRINT_KEY, torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8))

    def compare(_module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        """Compare the fingerprint of weights before they are loaded."""
        stored = state.get(prefix + FINGERPRINT_KEY)
        if stored is not None:
            trained_with = json.loads(bytes(stored.cpu().numpy()).decode())
            with ending_without_traceback():
                check_same(trained_with, plans, configuration, where="checkpoint")

    network.register_load_state_dict_pre_hook(compare)
