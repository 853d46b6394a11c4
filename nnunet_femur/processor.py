"""What this machine's processor can do."""

from __future__ import annotations


def calculates_in_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16; without them it is slower than single precision."""
    import torch

    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, bool])()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
