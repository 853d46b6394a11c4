"""The consistency guard: data, plans and weights that were not made for each other never meet.

The study's fine-tuning failed because a folder of data was renamed until its name fitted other plans. Names prove
nothing. So a *fingerprint* of what the plans say about the data is kept in three places that copying or renaming
cannot bring together by accident: beside the preprocessed data, in the plans (and so in every checkpoint), and in the
weights of fine-tuned networks. Before training and prediction they are compared with what nnU-Net will really use.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_json
from nnunet_femur.errors import SetupError, ending_without_traceback
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import nn


FINGERPRINT_KEY = "femur_guard"
"""Key of a configuration in the plans, and name of a network's buffer, that hold a fingerprint."""

FINGERPRINT_FILE = "femur_guard/fingerprint.json"
"""Where a folder of preprocessed data holds their fingerprint: inside, so that it goes where the data go, and in a
folder of its own, since nnU-Net takes any further file for data of another kind."""

SOURCE_KEY = "femur_source"
"""Key of a configuration in the plans that says which model's weights it was made for; absent in plans of our own."""

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
"""What nnU-Net's normalisation of CTs uses of the intensities."""


@dataclass(frozen=True)
class Difference:
    """One thing that two fingerprints disagree about."""

    what: str
    expected: Any
    found: Any


def resolve(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration of nnU-Net's plans with what it inherits, in the new format."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    resolved: dict[str, Any] = PlansManager(dict(plans)).get_configuration(name).configuration
    return resolved


def fingerprint(plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What plans say about data and network, as flat JSON.

    Args:
        plans: nnU-Net's plans.
        configuration: One of their configurations, resolved.

    Returns:
        Spacing in mm along the array axes, orientation (nnU-Net's reader), order of axes, normalisation and its
        statistics, resampling, and the network's topology; each by a name that a person understands.
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
    # As it will be read again: no tuples, no numbers of numpy.
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def differences(expected: Mapping[str, Any], found: Mapping[str, Any], *, network: bool = True) -> list[Difference]:
    """What two fingerprints disagree about; without the network's topology unless `network`."""
    names = [*expected, *(name for name in found if name not in expected)]
    return [
        Difference(name, expected.get(name), found.get(name))
        for name in names
        if (network or not name.startswith(_NETWORK)) and expected.get(name) != found.get(name)
    ]


def table(found: Iterable[Difference], *, left: str, right: str) -> str:
    """Differences as a table of text with a heading for each side."""
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
    """Write the fingerprint of every configuration into the plans themselves."""
    for name, configuration in plans["configurations"].items():
        configuration[FINGERPRINT_KEY] = fingerprint(plans, resolve(plans, name))


def write_data_fingerprint(folder: Path, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Write the fingerprint of the plans beside the data that were just preprocessed under them."""
    (folder / FINGERPRINT_FILE).parent.mkdir(exist_ok=True)
    write_json(folder / FINGERPRINT_FILE, fingerprint(plans, configuration))


def check_plans(plans: Mapping[str, Any], configuration: Mapping[str, Any], *, where: str) -> None:
    """Refuse plans in which something was changed after they were sealed; plans without a seal pass.

    Args:
        plans: nnU-Net's plans.
        configuration: One of their configurations, resolved.
        where: The file that the plans come from, for the message.

    Raises:
        SetupError: With a table of what differs.
    """
    sealed = configuration.get(FINGERPRINT_KEY)
    if sealed is None:
        return
    found = differences(sealed, fingerprint(plans, configuration), network=SOURCE_KEY in configuration)
    if found:
        msg = (
            f"{where}: these plans were changed after they were made.\n"
            f"{table(found, left='as made', right='as it stands')}\nRun: {plan_command(plans, configuration)}"
        )
        raise SetupError(msg)


def check_data(folder: Path, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Refuse preprocessed data that were not made under these plans.

    Two things are looked at: the fingerprint beside the data, and the data themselves, whose shapes show the spacing
    that they were resampled to, whatever any file says.

    Args:
        folder: nnU-Net's folder of preprocessed cases, such as ``nnUNetPlans_3d_fullres``.
        plans: The plans that nnU-Net is about to use.
        configuration: One of their configurations, resolved.

    Raises:
        SetupError: With a table of what differs; also where plans were made for a model's weights, but the data
            carry no fingerprint.
    """
    sealed = read_json(folder / FINGERPRINT_FILE)
    transferred = SOURCE_KEY in configuration
    if sealed is None and transferred:
        msg = (
            f"{folder}: has no {FINGERPRINT_FILE}, so nothing tells what these data are. "
            f"Run: {plan_command(plans, configuration)}"
        )
        raise SetupError(msg)
    if sealed is not None:
        found = differences(sealed, fingerprint(plans, configuration), network=transferred)
        if found:
            msg = (
                f"{folder}: these data were not preprocessed under the plans that are to be used.\n"
                f"{table(found, left='the data', right='the plans')}\nRun: {plan_command(plans, configuration)}"
            )
            raise SetupError(msg)
    _check_shapes(folder, plans, configuration)


def check_same(
    stored: Mapping[str, Any], plans: Mapping[str, Any], configuration: Mapping[str, Any], *, where: str
) -> None:
    """Refuse weights that were trained under other plans.

    Args:
        stored: The fingerprint that the weights carry.
        plans: The plans that nnU-Net is about to use.
        configuration: One of their configurations, resolved.
        where: What the weights are, for the message.

    Raises:
        SetupError: With a table of what differs.
    """
    found = differences(stored, fingerprint(plans, configuration))
    if found:
        msg = (
            f"{where}: these weights were trained under other plans.\n"
            f"{table(found, left='the weights', right='the plans')}\n"
            "Put the model's own plans.json back, or train anew under these plans."
        )
        raise SetupError(msg)


def plan_command(plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> str:
    """The command that makes these plans, and data for them, anew."""
    number = str(plans.get("dataset_name", ""))[7:10].lstrip("0") or "N"
    source = configuration.get(SOURCE_KEY)
    options = "" if source is None else " --from totalsegmentator" + (" --fast" if source.get("fast") else "")
    name = plans.get("plans_name", "nnUNetPlans")
    named = "" if name == "nnUNetPlans" else f" --plans-name {name}"
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
                f"{array}: holds {_short(found)} voxels, but at the plans' spacing of {_short(spacing)} mm it would be "
                f"{_short(expected)}. These data belong to other plans. Run: {plan_command(plans, configuration)}"
            )
            raise SetupError(msg)


def add_network_fingerprint(network: nn.Module, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Let a network refuse weights that were trained under other plans.

    nnU-Net loads weights wherever their shapes fit; spacing and intensities have no shape. The fingerprint becomes a
    buffer of bytes, which is saved and loaded with the weights, and is compared before anything of them is used.
    """
    import torch

    text = json.dumps(fingerprint(plans, configuration), sort_keys=True)
    network.register_buffer(FINGERPRINT_KEY, torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8))

    def compare(_module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        stored = state.get(prefix + FINGERPRINT_KEY)
        if stored is not None:
            trained_under = json.loads(bytes(stored.cpu().numpy()).decode())
            with ending_without_traceback():
                check_same(trained_under, plans, configuration, where="checkpoint")

    network.register_load_state_dict_pre_hook(compare)
