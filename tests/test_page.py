"""docs/connectors.md: it is what the connectors and the tests say today."""

from __future__ import annotations

import pytest

import captured
import page
import specified
from audiences import Category, connectors

VENDORS = [
    name
    for name in connectors.names([page.SHIPPED])
    if connectors.find(name, [page.SHIPPED]).category is not Category.ANY
]
every_vendor = pytest.mark.parametrize("name", VENDORS)


def test_the_page_is_fresh():
    """
    What is committed is what would be written now.
    """
    assert page.PAGE.read_text("utf-8") == page.text(), "docs/connectors.md is of another day: run `make page`"


@every_vendor
def test_what_becomes_of_who_leaves_is_said(name):
    """
    A docstring says what a removal does, in a sentence that the page can take.
    """
    assert page.removal(name), f'say in connectors/{name}.py what a removal does: "Removal …"'


@every_vendor
def test_a_section_has_all_that_is_known(name):
    """
    Removal, what no source tells, the hosts, and each file of the vendor's with its version.
    """
    section = page.text().partition(f"## `{name}`\n")[2].partition("\n## ")[0]

    files = specified.NAMED.get(name, {}).get("files", ())
    told = [*page.removal(name), *page.unconfirmed(name), *page.HOSTS.get(name, ())]
    told += [part for each in files for part in (each["file"], each["version"])]
    assert not [each for each in told if each.replace("|", "\\|") not in section]


def test_every_excuse_is_shown():
    """
    Whatever a test excuses stands on the page with its reason.
    """
    told = page.text().partition("## Exemptions")[2]

    held = [specified.NAMED.get(name, {}) for name in VENDORS]
    unlike = [reason for each in [*held, *captured.NAMED.values()] for reason in each.get("unlike", {}).values()]
    unlike += [reason for each in [*held, *captured.NAMED.values()] for reason in each.get("beyond", {}).values()]
    assert unlike
    assert all(reason.replace("|", "\\|") in told for reason in [*unlike, *page.SLOWER.values()])
