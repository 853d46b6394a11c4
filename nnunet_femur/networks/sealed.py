"""A network that carries the fingerprint of its plans in its own weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from nnunet_femur.errors import ending_without_traceback
from nnunet_femur.guard import GUARD_KEY, check_same, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


def seal_network(network: nn.Module, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Let a network refuse weights that were trained under other plans.

    nnU-Net loads weights wherever their shapes fit; spacing and intensities have no shape. The fingerprint becomes a
    buffer of bytes, which is saved and loaded with the weights, and is compared before anything of them is used.
    """
    text = json.dumps(fingerprint(plans, configuration), sort_keys=True)
    network.register_buffer(GUARD_KEY, torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8))

    def compare(_module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        stored = state.get(prefix + GUARD_KEY)
        if stored is not None:
            trained_under = json.loads(bytes(stored.cpu().numpy()).decode())
            with ending_without_traceback():
                check_same(trained_under, plans, configuration, where="checkpoint")

    network.register_load_state_dict_pre_hook(compare)
