"""The end of a study as nnU-Net makes it: its ensembles across methods, and the choices on validation cases."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from nnunet_femur.arguments import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nnunet_femur.study.methods import Method

PAIRS = "pairs"
"""Value of ``ensembles`` for all pairs of methods, as ``nnUNetv2_find_best_configuration`` tries them."""

BEST = "BestConfiguration__validation__postprocessed"
"""Folder of the best configuration in nnU-Net's results; nnU-Net's names of models have three parts as well."""

_LONGEST = 120
"""Characters of an ensemble's members in the name of its folder, which also becomes a part of file names."""


@dataclass(frozen=True)
class MethodEnsemble:
    """An ensemble of several methods.

    Attributes:
        members: The methods.
        folds: Folds that all of them train.
    """

    members: tuple[Method, ...]
    folds: tuple[int, ...]

    @property
    def short(self) -> str:
        """Short names of the members; for many members, the first and a checksum of all."""
        text = "+".join(each.short for each in self.members)
        if len(text) <= _LONGEST:
            return text
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.members[0].short}+{len(self.members) - 1}.others.{digest}"

    @property
    def name(self) -> str:
        """Name of its folder in nnU-Net's results."""
        return f"Ensemble__{self.short}__mean"


@dataclass(frozen=True)
class StudyEnd:
    """Work after all methods are trained.

    Attributes:
        ensembles: Ensembles across methods.
        best: Choose the best method or ensemble on the validation cases.
        postprocessing: Choose postprocessing for each method and ensemble on the validation cases.
    """

    ensembles: tuple[MethodEnsemble, ...] = ()
    best: bool = False
    postprocessing: bool = False


def postprocessed_name(short: str) -> str:
    """Return the name of the folder of a postprocessed method or ensemble.

    Args:
        short: Short name of the method or ensemble.

    Example:
        >>> postprocessed_name("FemurThreePlane")
        'Postprocessed__FemurThreePlane__validation'
    """
    return f"Postprocessed__{short}__validation"


def candidates(methods: Sequence[Method]) -> list[Method]:
    """Return the methods that predict whole femurs, among which the best one is chosen."""
    return [each for each in methods if not each.ends_only]


def end_of(content: Mapping[str, Any], methods: Sequence[Method]) -> StudyEnd:
    """Return the end of a study from its file, which has no problems.

    Args:
        content: Content of the file.
        methods: All methods of the study.
    """
    given = content.get("ensembles", [])
    if given == PAIRS:
        found = [_ensemble(pair) for pair in combinations(candidates(methods), 2) if _shared(pair)]
    else:
        found = [_ensemble([_method(name, methods)[0] for name in names]) for names in given]
    return StudyEnd(
        tuple(found), best=content.get("best-configuration", False), postprocessing=content.get("postprocessing", False)
    )


def end_problems(content: Mapping[str, Any], methods: Sequence[Method]) -> Iterator[str]:
    """Yield the problems of the end of a study, a line each.

    Args:
        content: Content of the file.
        methods: All methods of the study.
    """
    given = content.get("ensembles", [])
    whole = candidates(methods)
    if given == PAIRS:
        if not any(_shared(pair) for pair in combinations(whole, 2)):
            yield "ensembles: no two methods of whole femurs train the same fold. Add methods, or list the ensembles."
        given = []
    seen: dict[str, int] = {}
    for number, names in enumerate(given):
        found = [_method(name, methods) for name in names]
        yield from (
            f"ensembles.{number}.{place}: {_name_problem(name, each, methods)}"
            for place, (name, each) in enumerate(zip(names, found, strict=True))
            if len(each) != 1
        )
        if any(len(each) != 1 for each in found):
            continue
        members = [each[0] for each in found]
        if problem := _members_problem(members):
            yield f"ensembles.{number}: {problem}"
            continue
        name = _ensemble(members).name
        if name in seen:
            yield f"ensembles.{number}: repeats ensembles.{seen[name]}. Remove one of them."
        seen[name] = number
    if content.get("best-configuration") and not (whole and _shared(whole)):
        yield "best-configuration: the methods of whole femurs train no common fold. Give them the same folds."
    if content.get("postprocessing") and not whole:
        yield "postprocessing: no method predicts whole femurs. Remove it, or add a method."


def _ensemble(members: Sequence[Method]) -> MethodEnsemble:
    return MethodEnsemble(tuple(members), _shared(members))


def _shared(methods: Sequence[Method]) -> tuple[int, ...]:
    """Return the folds that all methods train."""
    return tuple(sorted(set.intersection(*(set(each.folds) for each in methods))))


def _method(name: str, methods: Sequence[Method]) -> list[Method]:
    """Return the methods that a name can mean: a full name, or a trainer."""
    return [each for each in methods if name == each.name] or [each for each in methods if name == each.trainer]


def _name_problem(name: str, found: Sequence[Method], methods: Sequence[Method]) -> str:
    if found:
        return f"{name} is the trainer of several methods. Give one of: {', '.join(each.name for each in found)}."
    return f"unknown method {name}.{suggestion(name, sorted({each.trainer for each in methods}))}"


def _members_problem(members: Sequence[Method]) -> str:
    """Return the problem of an ensemble's members; empty if they go together."""
    if len(members) < 2:
        return "must have at least two methods."
    if len({each.name for each in members}) < len(members):
        return "contains a method twice. Remove one of them."
    if len({each.ends_only for each in members}) > 1:
        return "mixes networks of whole femurs and of their ends. Average networks of one kind."
    return "" if _shared(members) else "its methods train no common fold. Give them the same folds."
