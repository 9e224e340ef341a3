"""docs/triggers.md: what it shows can be read by who is to read it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from audiences.cli import root

PAGE = (Path(__file__).parent.parent / "docs" / "triggers.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The page's code in one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"), ids=["Airflow", "Dagster"])
def test_the_python_compiles(code):
    """
    Each example is Python that compiles, and calls `audiences`.
    """
    compile(code, "triggers.md", "exec")

    assert "--after-dbt" in code


def test_the_workflow_can_be_read():
    """
    The workflow for GitHub Actions is YAML with one job, which calls dbt and then `audiences`.
    """
    [text] = blocks("yaml")
    [job] = yaml.safe_load(text)["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]

    assert [run.split()[0] for run in runs] == ["pip", "dbt", "audiences"]


def test_every_option_is_known():
    """
    Each command that the page shows has the options that it shows.
    """
    shown = re.findall(r"audiences (?:-C \S+ )?([a-z]+)((?: --[a-z-]+)+)", PAGE)

    assert len(shown) >= 3
    for name, options in shown:
        known = {each for parameter in root.get_command(None, name).params for each in parameter.opts}
        assert {*options.split()} <= known
