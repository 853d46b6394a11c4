"""Pages of the command line: every command with its arguments and options, as the program prints them."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import typer.main
from markdown_tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "reference/commands"

_STATED = re.compile(r" +\[((?:default: |required|[-\w.]+<=?x|x[<>]).*)\]$")
"""Brackets that the program adds to a help text, and statements of the text about its default."""


def program() -> Any:
    """Return ``nnfemur`` as the object that parses its command line."""
    from nnunet_femur.cli import app

    return typer.main.get_command(app)


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and Markdown of the overview, and of each command."""
    by_panel: dict[str, list[tuple[str, Any]]] = {}
    for name, command in program().commands.items():
        by_panel.setdefault(command.rich_help_panel, []).append((name, command))
    yield f"{FOLDER}/index.md", _overview(by_panel)
    for commands in by_panel.values():
        for name, command in commands:
            yield f"{FOLDER}/{name}.md", command_page(f"nnfemur {name}", command)


def _overview(by_panel: dict[str, list[tuple[str, Any]]]) -> str:
    lines = [
        "# Commands\n",
        "These pages have the texts of `nnfemur COMMAND --help`. `nnfemur-compare` is a short name of `nnfemur "
        "compare`; `nnfemur --version` prints the version. The exit status is 0 if everything was done, 1 after an "
        "error, and 2 for a wrong option.\n",
        "Networks are trained by nnU-Net's own command, `nnUNetv2_train`: see [Recipes](../../recipes.md).\n",
    ]
    for panel, commands in by_panel.items():
        rows = [(f"[`nnfemur {name}`]({name}.md)", cell(_paragraphs(command)[0])) for name, command in commands]
        lines += [f"## {panel}\n", table(("command", "purpose"), rows)]
    return "\n".join(lines)


def command_page(name: str, command: Any, *, level: int = 1) -> str:
    """Return the description of a command, and of its own commands.

    Args:
        name: The command as it is typed, such as "nnfemur weights".
        command: The command as the object that parses its command line.
        level: Level of the heading.
    """
    lines = [f"{'#' * level} `{name}`\n", *map(_with_code, _paragraphs(command))]
    commands: dict[str, Any] = getattr(command, "commands", {})
    if commands:
        return "\n".join(
            [*lines, *(command_page(f"{name} {each}", of, level=level + 1) for each, of in commands.items())]
        )
    context = command.make_context(name, [], resilient_parsing=True)
    usage = [each.strip("{}") for each in command.collect_usage_pieces(context)]
    lines.append(f"```text\n{' '.join([name, *usage]).replace('}...', '...')}\n```\n")
    described = [(each.param_type_name, described_parameter(each, context)) for each in command.params]
    for kind in ("argument", "option"):
        rows = [
            (f"`{each.names}`", cell(each.meaning), cell(each.default) or "–")
            for of, each in described
            if of == kind and each is not None
        ]
        if rows:
            lines.append(table((kind, "meaning", "default, limits"), rows))
    return "\n".join(lines)


class Described(NamedTuple):
    """One argument or option, as the program prints it.

    Attributes:
        names: Names and kind of value, such as "-j, --jobs <int range>".
        meaning: The help text.
        default: Default and limits, such as "1; x>=1"; "required"; or empty.
    """

    names: str
    meaning: str
    default: str


def described_parameter(parameter: Any, context: Any) -> Described | None:
    """Return the line of ``--help`` about a parameter in its parts, or None if it is hidden."""
    record = parameter.get_help_record(context)
    if record is None:
        return None
    names, text = record
    meaning, parts = " ".join(text.split(" ")).strip(), []
    while stated := _STATED.search(meaning):
        parts.insert(0, stated[1].replace("default: ", ""))
        meaning = meaning[: stated.start()].rstrip()
    default = "; ".join(parts)
    return Described(names, meaning, default[1:-1] if re.fullmatch(r"\([^()]*\)", default) else default)


def _paragraphs(command: Any) -> list[str]:
    """Return the paragraphs of the help text, each as one line."""
    text = inspect.cleandoc(command.help or "").split("\f")[0]
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _with_code(paragraph: str) -> str:
    """Return a paragraph as Markdown; an example becomes code."""
    found = re.fullmatch(r"([A-Z][^:.]*): ((?:nnfemur|eval|uv) .*)", paragraph)
    return f"{found[1]}:\n\n```bash\n{found[2]}\n```\n" if found else f"{paragraph}\n"
