"""Sentences about data, preprocessing, training and statistics, which checklist, methods paragraph and cards share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.final_networks import chosen_on_validation, final_network
from nnunet_femur.comparison.report.tables.model import interval_text
from nnunet_femur.comparison.statistics.bootstrap import RESAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nnunet_femur.comparison.statistics.descriptive import Summary
    from nnunet_femur.comparison.supplement.dataset_facts import DatasetFacts, Range, SetFacts
    from nnunet_femur.comparison.supplement.method_facts import MethodFacts
    from nnunet_femur.comparison.supplement.study_facts import StudyFacts

_SETS = {"train": "training", "validation": "validation", "test": "testing"}

_TESTS = {"wilcoxon": "Wilcoxon’s signed-rank test", "permutation": "a permutation test of the mean difference"}

_LOSSES = {"cross_entropy": "cross-entropy", "dice_cross_entropy": "Dice loss and cross-entropy"}


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
    sets = "; ".join(f"{_SETS[each.name]}: {_set_text(each)}" for each in dataset.sets)
    return f"{code(dataset.name)} contains {counted(dataset.cases, kind)} ({sets})."


def _set_text(one: SetFacts) -> str:
    sides = "".join(f", {count} {side}" for side, count in one.sides.items())
    return f"{counted(one.cases, 'case')} of {counted(one.patients, 'patient')}{sides}"


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
    return (
        f"nnunet_femur assigned the patients to sets and folds by their ids and a seed ({options.get('seed')}), in the "
        f"proportion {options['split']} of training, validation and test cases; {decisions.get('split', '')}."
    )


def preprocessing_of(facts: StudyFacts) -> Iterator[str]:
    """Yield sentences about the preprocessing of datasets and networks."""
    for dataset in facts.datasets:
        decisions = dataset.conversion.get("decisions")
        if isinstance(decisions, dict):
            yield (
                f"{code(dataset.name)}: CTs were stored in {decisions.get('orientation')} order as "
                f"{decisions.get('image')}, masks as {decisions.get('mask')}."
            )
    by_text: dict[str, list[str]] = {}
    for method in facts.trained:
        text = _network_input(method)
        if text:
            by_text.setdefault(text, []).append(method.name)
    for text, names in by_text.items():
        yield f"{listed(names)}: {text}" if len(by_text) > 1 else f"All networks: {text}"


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
            f"; HU were clipped to {low:.0f} to {high:.0f} (0.5 and 99.5 percentiles of the femur in the plans), and "
            f"standardised with the mean {mean:.0f} and the standard deviation {std:.0f}"
        )
    return f"{text}."


def training_of(method: MethodFacts) -> str:
    """Return a sentence about the training of a method, as far as it is recorded."""
    recipe, configuration = method.recipe, method.configuration
    parts = [
        *([f"{method.network} in {method.configuration_name}"] if method.network else []),
        *([f"{parameters / 1e6:.1f} million parameters"] if (parameters := method.first("parameters")) else []),
        _length(method),
        *_optimizer(recipe),
        *([f"loss {_LOSSES.get(str(recipe['loss']), recipe['loss'])}"] if "loss" in recipe else []),
        *_batches(method.traits.in_slices, recipe, configuration),
        *(["augmentation of nnU-Net" if recipe["augment"] else "no augmentation"] if "augment" in recipe else []),
        *([f"seed {recipe['seed']}"] if recipe.get("seed") is not None else []),
        *_hardware(method),
    ]
    trainer = f"trainer {code(method.trainer)}"
    if not recipe:
        trainer += ", hyperparameters of its class"
    return f"{method.name}: {trainer}; {'; '.join(filter(None, parts))}."


def _length(method: MethodFacts) -> str:
    epochs = method.first("epochs_done") or max((curve.epochs for curve in method.curves), default=None)
    steps = method.first("iterations_per_epoch")
    folds = counted(len(method.folds), "fold") if method.folds else ""
    length = f"{counted(epochs, 'epoch')}{f' of {steps} steps' if steps else ''}" if epochs else ""
    return ", ".join(filter(None, (folds, length)))


def _optimizer(recipe: Mapping[str, Any]) -> Iterator[str]:
    if "optimizer" in recipe and "learning_rate" in recipe:
        schedule = {"constant": "constant", "poly": "polynomial decay"}.get(str(recipe.get("schedule")), "")
        yield f"{recipe['optimizer']}, learning rate {recipe['learning_rate']:g}{f' ({schedule})' if schedule else ''}"


def _batches(in_slices: bool, recipe: Mapping[str, Any], configuration: Mapping[str, Any]) -> Iterator[str]:  # noqa: FBT001
    batch = recipe.get("batch_size") or configuration.get("batch_size")
    patch = (recipe.get("slice_size") if in_slices else None) or configuration.get("patch_size")
    if batch and patch:
        yield f"batches of {batch} {'slices' if in_slices else 'patches'} of {dimensions(patch)}"


def _hardware(method: MethodFacts) -> Iterator[str]:
    seconds = [curve.seconds for curve in method.curves if curve.seconds]
    device = method.first("device")
    minutes = f"{sum(map(sum, seconds)) / 60:.1f} min in all" if seconds else ""
    if device or minutes:
        yield " on ".join(filter(None, (minutes, str(device or ""))))


def derivation_of(method: MethodFacts) -> str:
    """Return a sentence about a method that was made from other methods, as recorded."""
    facts = "; ".join(f"{name}: {plain(value)}" for name, value in method.recipe.items())
    return f"{method.name}: {method.derivation}{f' ({facts})' if facts else ''}."


def plain(value: Any) -> str:
    """Return a value of a record as text."""
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def final_network_of(method: MethodFacts) -> str:
    """Return sentences about the networks that the trainings of a method ended with; empty if it is not recorded."""
    texts = [(record.get("fold"), text) for record in method.records if (text := final_network(record))]
    if not texts:
        return ""
    same = len({text for _, text in texts}) == 1
    found = texts[0][1] if same else "; ".join(f"fold {fold}: {text}" for fold, text in texts)
    chosen = any(map(chosen_on_validation, method.records))
    optimistic = " Its scores of these validation cases are slightly optimistic; those of test cases are not." if chosen else ""
    return f"{method.name}: {found}.{optimistic}"


def trainings_still_falling(methods: Sequence[MethodFacts]) -> list[str]:
    """Return the names of methods whose training loss was still falling at the end."""
    return [method.name for method in methods if any(curve.still_falling for curve in method.curves)]


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
        f"compared by {_TESTS.get(facts.test, facts.test)} over patients, with Holm’s correction for all pairs of a "
        "set. The claim that the best method is better than another is given with the probability that it is false "
        "(Claims Reloaded, arXiv 2505.04720)."
    )


def margins_of(facts: StudyFacts) -> str:
    """Return a sentence about the comparisons up to a margin; empty if there are none."""
    found = {}
    for group in facts.statistics:
        for measure, statistics in group.measures.items():
            for one in statistics.margins:
                found[measure.metric] = (one.against, one.margin)
    if not found:
        return ""
    against = next(iter(found.values()))[0]
    limits = listed(f"{metric} {margin:g}" for metric, (_, margin) in found.items())
    return (
        f"Each method is tested for being not worse than {against} up to a margin ({limits}), at the 5 % level, by the "
        "90 % interval of the mean paired difference (two one-sided t-tests for equivalence)."
    )
