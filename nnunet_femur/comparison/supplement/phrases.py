"""Sentences about data, preprocessing, training and statistics, which checklist, methods paragraph and cards share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.report.headlines import margin_text
from nnunet_femur.comparison.report.tables.model import interval_text
from nnunet_femur.comparison.statistics.bootstrap import RESAMPLES
from nnunet_femur.comparison.statistics.endpoint_statistics import of_all_measures
from nnunet_femur.comparison.supplement.pages import to_fill_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nnunet_femur.comparison.statistics.descriptive import Summary
    from nnunet_femur.comparison.supplement.dataset_facts import DatasetFacts, Range, SetFacts
    from nnunet_femur.comparison.supplement.method_facts import MethodFacts
    from nnunet_femur.comparison.supplement.study_facts import StudyFacts

_SETS = {"train": "training", "validation": "validation", "test": "testing"}

_TESTS = {"wilcoxon": "Wilcoxon’s signed-rank test", "permutation": "a permutation test of the mean difference"}


def counted(number: int, noun: str) -> str:
    """Return a number and a noun, in the plural where it needs one.

    Example:
        >>> counted(1, "case"), counted(3, "case")
        ('1 case', '3 cases')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(words: Iterable[str]) -> str:
    """Return words as a list in a sentence.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    found = list(words)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else ""


def joined(sentences: Iterable[str]) -> str:
    """Return sentences as one text, without empty ones."""
    return " ".join(filter(None, sentences))


def code(text: str) -> str:
    """Return a name of a file, class or folder as code."""
    return f"`{text}`"


def dimensions(values: Iterable[float]) -> str:
    """Return numbers with multiplication signs between them."""
    return " × ".join(f"{value:.4g}" for value in values)


def score_text(summary: Summary, places: int = 3) -> str:
    """Return mean, standard deviation and interval of a summary."""
    if not summary.n:
        return "–"
    spread = "" if summary.sd is None else f" ± {summary.sd:.{places}f}"
    interval = summary.interval
    bounds = "" if interval is None else f" (95 % CI {interval_text(interval.low, interval.high, places)})"
    return f"{summary.mean:.{places}f}{spread}{bounds}"


def cases_of(dataset: DatasetFacts) -> str:
    """Return a sentence with the numbers of cases and patients of each set."""
    kind = "synthetic phantom" if dataset.phantoms else "CT"
    sets = "; ".join(f"{_SETS[each.name]}: {_set_text(each, dataset)}" for each in dataset.sets)
    return f"{code(dataset.name)} contains {counted(dataset.cases, kind)} ({sets})."


def _set_text(one: SetFacts, dataset: DatasetFacts) -> str:
    sides = "".join(f", {count} {side}" for side, count in one.sides.items())
    patients = "" if dataset.phantoms else f" of {counted(one.patients, 'patient')}"
    return f"{counted(one.cases, 'case')}{patients}{sides}"


def voxels_of(dataset: DatasetFacts) -> str:
    """Return a sentence with the spacings and femur volumes of each set; empty if they are unknown."""
    found = []
    for one in dataset.sets:
        known = [
            f"{name} {_range_text(values, places)} {unit}"
            for name, values, places, unit in (
                ("slice spacing", one.slice_mm, 2, "mm"),
                ("pixel spacing", one.pixel_mm, 2, "mm"),
                ("femur volume", one.volume_ml, 0, "ml"),
            )
            if values is not None
        ]
        if known:
            found.append(f"{_SETS[one.name]}: {', '.join(known)}")
    return f"Median (range) of each set: {'; '.join(found)}." if found else ""


def _range_text(values: Range, places: int) -> str:
    low, middle, high = (f"{value:.{places}f}" for value in values)
    return f"{middle} ({low} to {high})"


def division_of(dataset: DatasetFacts) -> str:
    """Return sentences about the assignment of cases to sets; empty if the conversion did not record it."""
    options, decisions = dataset.options, dataset.conversion.get("decisions", {})
    if "split" not in options:
        return ""
    rule = decisions.get("split")
    given = dataset.conversion.get("given_sets")
    kept = ""
    if given is None:
        kept = f" {to_fill_in('sets that the source or a list of test cases gave, which were kept')}"
    elif given:
        kept = f" The sets of {counted(given, 'case')} were given by the source or a list of test cases, and kept."
    return (
        f"nnunet_femur assigned {'the other' if given else 'the'} patients to sets and folds by their ids and a seed "
        f"({options.get('seed')}), in the proportion {options['split']} of training, validation and test cases"
        f"{f' ({rule})' if rule else ''}.{kept}"
    )


def preprocessing_of(facts: StudyFacts) -> Iterator[str]:
    """Yield sentences about the preprocessing of datasets and networks."""
    for dataset in facts.datasets:
        decisions = dataset.conversion.get("decisions")
        if isinstance(decisions, dict):
            yield (
                f"{code(dataset.name)}: CTs were stored in {decisions.get('orientation')} order as "
                f"{_in_brackets(decisions.get('image'), '; ')}, masks as {_in_brackets(decisions.get('mask'), ': ')}."
            )
    yield from grouped(facts.trained, _network_input)


def _in_brackets(text: Any, separator: str) -> str:
    """Return a text whose explanation follows in brackets instead of after a separator."""
    first, _, explanation = str(text).partition(separator)
    return f"{first} ({explanation})" if explanation else first


def grouped(methods: Sequence[MethodFacts], text_of: Callable[[MethodFacts], str]) -> Iterator[str]:
    """Yield each text once, after the names of the methods that share it; an empty text is left out.

    Args:
        methods: The methods.
        text_of: Returns the text of a method.
    """
    by_text: dict[str, list[str]] = {}
    for method in methods:
        if text := text_of(method):
            by_text.setdefault(text, []).append(method.title)
    for text, names in by_text.items():
        everyone = len(names) == len(methods) > 1
        yield f"{'All trained methods' if everyone else listed(names)}: {text}"


def _network_input(method: MethodFacts) -> str:
    configuration = method.configuration
    if "spacing" not in configuration:
        return ""
    order = configuration.get("resampling_fn_data_kwargs", {}).get("order")
    interpolated = f" by interpolation of order {order}" if order is not None else ""
    text = f"CTs were resampled to {dimensions(configuration['spacing'])} mm (array axes){interpolated}"
    properties = method.plans.get("foreground_intensity_properties_per_channel", {}).get("0", {})
    if configuration.get("normalization_schemes") == ["CTNormalization"] and "percentile_00_5" in properties:
        low, high, mean, std = (float(properties[key]) for key in ("percentile_00_5", "percentile_99_5", "mean", "std"))
        text += (
            f"; HU were clipped to {_whole(low)} to {_whole(high)} (0.5 and 99.5 percentiles of the foreground in the "
            f"plans), and standardised with the mean {_whole(mean)} and the standard deviation {std:.0f}"
        )
    return f"{text}."


def _whole(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")


def software_of(facts: StudyFacts) -> str:
    """Return the packages and versions of all trainings and baselines, each once; empty if none is recorded."""
    found: dict[str, set[str]] = {}
    for method in facts.methods:
        for package, version in method.versions.items():
            found.setdefault(package, set()).add(str(version))
    return ", ".join(f"{package} {'/'.join(sorted(versions))}" for package, versions in found.items())


def statistics_of(facts: StudyFacts) -> str:
    """Return sentences about tests and intervals."""
    return (
        "Scores are given as mean ± standard deviation over cases. 95 % confidence intervals of means are percentile "
        f"intervals of a bootstrap with {RESAMPLES} samples that draws whole patients. All pairs of methods are "
        f"compared by {_TESTS.get(facts.test, facts.test)} over patients, with Holm’s correction for all pairs of one "
        "score and set. The claim that the method with the best mean is better than another is given with the "
        "probability that it is false, by Student’s t-distribution of the mean paired difference (Christodoulou et "
        "al., False Promises in Medical Imaging AI?, arXiv 2505.04720), which is not corrected for the number of "
        "methods."
    )


def margins_of(facts: StudyFacts) -> str:
    """Return a sentence about the comparisons up to a margin; empty if there are none."""
    tests = [
        (one.measure, one.margins[0])
        for _, measures in of_all_measures(facts.statistics, facts.endpoints)
        for one in measures
        if one.margins
    ]
    if not tests:
        return ""
    against = listed(dict.fromkeys(test.against for _, test in tests))
    limits = listed(dict.fromkeys(margin_text(measure, test.margin) for measure, test in tests))
    return (
        f"Each method is tested for being not worse than {against} up to a margin ({limits}), at the 5 % level, by the "
        "90 % interval of the mean paired difference (two one-sided t-tests for equivalence)."
    )
