"""Pages of the command line have every command and option, as the program parses them."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import Annotated, Any

import pytest
import typer
import typer.main
from command_pages import FOLDER, command_page, described_parameter, pages, program

PAGES = dict(pages())


def _leaves(name: str, command: Any) -> list[tuple[str, Any]]:
    commands = getattr(command, "commands", {})
    return [leaf for sub, of in commands.items() for leaf in _leaves(f"{name} {sub}", of)] or [(name, command)]


LEAVES = [leaf for name, command in program().commands.items() for leaf in _leaves(name, command)]


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_option_is_on_the_page(name: str, command: Any) -> None:
    verb, _, sub = name.partition(" ")
    page = PAGES[f"{FOLDER}/{verb}.md"]
    if sub:
        page = page.split(f"## `nnfemur {name}`")[1].split("\n## ")[0]
    rows = [line.split("`")[1].split() for line in page.splitlines() if line.startswith("| `")]
    shown = {word.rstrip(",") for row in rows for word in row}
    expected = {opt for each in command.params if not getattr(each, "hidden", False) for opt in each.opts}
    assert {opt for opt in expected if opt.startswith("-")} <= shown
    assert len(rows) == len([each for each in command.params if not getattr(each, "hidden", False)])


def test_the_overview_links_every_command() -> None:
    overview = PAGES[f"{FOLDER}/index.md"]
    assert all(f"({name}.md)" in overview for name in program().commands)
    assert set(PAGES) == {f"{FOLDER}/index.md", *(f"{FOLDER}/{name}.md" for name in program().commands)}


def _app() -> Any:
    app = typer.Typer()

    @app.command()
    def weigh(
        bones: Annotated[list[Path], typer.Argument(metavar="BONE", help="Bones|parts.")],
        scale: Annotated[float, typer.Option("--scale", "-s", min=0, max=2, help="Scale.")] = 1.5,
        name: Annotated[str | None, typer.Option(help="Name. [default: the file's]")] = None,
        secret: Annotated[bool, typer.Option("--secret", hidden=True)] = False,
    ) -> None:
        """Weigh bones.

        Example: nnfemur weigh a.nrrd
        """

    return typer.main.get_command(app)


class TestPage:
    def test_parts_of_an_option(self) -> None:
        command = _app()
        context = command.make_context("weigh", [], resilient_parsing=True)
        described = {each.name: described_parameter(each, context) for each in command.params}
        bones, scale, name = described["bones"], described["scale"], described["name"]
        assert (bones.meaning, bones.default) == ("Bones|parts.", "required")
        assert scale.names.startswith("-s, --scale")
        assert (scale.meaning, scale.default.split("; ")) == ("Scale.", ["1.5", "0<=x<=2"])
        assert (name.meaning, name.default) == ("Name.", "the file's")
        assert described["secret"] is None

    def test_text(self) -> None:
        page = command_page("nnfemur weigh", _app())
        assert page.startswith("# `nnfemur weigh`\n\nWeigh bones.\n")
        assert "```bash\nnnfemur weigh a.nrrd\n```" in page
        assert "Bones\\|parts. | required |" in page
        assert "--secret" not in page
