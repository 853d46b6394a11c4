# Short commands for developers; each line also works when it is typed. List them: just

[private]
default:
    @just --list

# Lint, format and types
check:
    uv run ruff check --fix .
    uv run ruff format .
    uv run mypy

# Tests without nnU-Net's commands: two minutes
fast *ARGS:
    uv run pytest -m "not integration" {{ARGS}}

# Tests of one room, such as: just room conversion
room NAME *ARGS:
    uv run pytest -n 0 tests/{{NAME}} {{ARGS}}

# All tests, as CI runs them: sixteen minutes
test:
    uv run pytest

# The site, at http://127.0.0.1:8000, built again after each change
site:
    uv run mkdocs serve

# Wheel and sdist of the last commit, checked; the wheel's commands in an empty environment
release:
    uv run --no-project python .ci/release.py
    uv run --no-project python .ci/try_wheel.py dist/*.whl

# The main job on phantoms: five to six minutes
demo:
    uv run nnfemur demo

# A benchmark against its named peer, such as: just bench scoring
bench NAME *ARGS:
    uv run --group benchmark benchmarks/{{NAME}}.py {{ARGS}}
