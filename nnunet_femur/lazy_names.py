"""Public names of a package that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def lazy_names(
    package: str, public: Sequence[str], homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: Name of the package.
        public: Its public names, ``__all__``.
        homes: Names to load by the module that defines them; modules are relative to the package.

    Example:
        >>> find, names = lazy_names("nnunet_femur", ["InputError"], {"errors": ("InputError",)})
        >>> find("InputError").__name__, names()
        ('InputError', ['InputError'])
    """
    module_of = {name: module for module, names in homes.items() for name in names}

    def find(name: str) -> Any:
        """Load a public name, and keep it in the package."""
        if name not in module_of:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        """Return the public names."""
        return sorted(public)

    return find, names
