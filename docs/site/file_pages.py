"""Page of the files that the commands write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from api_pages import PACKAGES
from markdown_tables import cell, table
from written_files import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and Markdown of the page of files, and of the start page of the reference."""
    yield "reference/index.md", _index()
    yield "reference/files.md", _files()
    yield "reference/study-file.md", _study_file()


def _files() -> str:
    lines = [
        "# Files\n",
        "Every file that a command writes, with its columns or keys. CSV files have commas and a header; JSON files "
        "are UTF-8. Files are written completely or not at all.\n",
    ]
    for group in GROUPS:
        lines.append(f"## {group.title}\n")
        lines.append(f"In {group.folder}, written by `{group.command}`. See [{_title(group.page)}](../{group.page}).\n")
        lines.append(table(("file", "content"), [(f"`{cell(each.path)}`", each.content) for each in group.files]))
        for each in group.files:
            if each.fields:
                kind = "column" if ".csv" in each.path else "key"
                rows = [(f"`{name}`", meaning) for name, meaning in each.fields.items()]
                lines += [f"### {each.path.split(',')[0]}\n", table((kind, "meaning"), rows), f"{each.note}\n"]
    return "\n".join([*lines, _quantities()])


def _title(page: str) -> str:
    """Return the first heading of a page."""
    text = (Path(__file__).parents[1] / page.partition("#")[0]).read_text(encoding="utf-8")
    return next(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))


def _quantities() -> str:
    from nnunet_femur.measurement.output.measurement_tables import ALL_QUANTITIES

    rows = [
        (
            f"`{each.key}`",
            each.unit + (", vector" if each.is_vector else ""),
            cell(each.definition),
            "–" if each.normal is None else f"{each.normal[0]:g} to {each.normal[1]:g}",
        )
        for each in ALL_QUANTITIES.values()
    ]
    return "\n".join(
        [
            "## Quantities\n",
            "Values of `nnfemur measure`; those of the CT need `--ct`. [Measurements](../measurements.md) and "
            "[Density and cortex](../measurements_density.md) contain the methods and errors.\n",
            table(("key", "unit", "definition", "range in adults"), rows),
        ]
    )


def _study_file() -> str:
    """Return the page with all keys of a study file, as the template has them, and the other presets."""
    from nnunet_femur.study.presets import PRESETS, preset_text

    lines = [
        "# Study file\n",
        "Every key of a study file, with comments. `nnfemur study init FILE` writes this text. "
        "[The study from one file](../study.md) explains how studies run, and where their JSON schema is.\n",
        f"```yaml\n{preset_text('template')}```\n",
        "## Other presets\n",
    ]
    lines += [
        f"### {name}\n\n`nnfemur study init FILE --preset {name}`\n\n```yaml\n{preset_text(name)}```\n"
        for name in PRESETS
        if name != "template"
    ]
    return "\n".join(lines)


def _index() -> str:
    rows = [
        ("[From Python](../python.md)", "a session, progress, errors"),
        ("[Python API](api/nnunet_femur.md)", f"every public name of `nnunet_femur` and of {len(PACKAGES)} packages"),
        ("[Commands](commands/index.md)", "every command with its arguments and options"),
        ("[Study file](study-file.md)", "every key of a study file, and the presets"),
        ("[Recipes](../recipes.md)", "hyperparameters of trainings"),
        ("[Measurements](../measurements.md)", "definition, adult range and error of every measured quantity"),
        ("[Density and cortex](../measurements_density.md)", "the same for quantities of a CT"),
        ("[Files](files.md)", "every written file with its columns"),
        ("[Findings](findings.md)", "codes of problems of CTs and masks"),
        ("[Errors](errors.md)", "codes of errors"),
    ]
    return "\n".join(["# Reference\n", table(("page", "content"), rows)])
