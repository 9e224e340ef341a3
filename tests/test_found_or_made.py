"""A list by its name, where nothing says that names are unique."""

from __future__ import annotations

import httpx
import pytest

from audiences import BatchRefused, Connector, DefinitionError
from audiences.connector import Limits


class Flock(Connector):
    """A provider with some tags of one name; `made` becomes of one that is to be made, and `then` are there besides."""

    limits = Limits(batch=1)
    reach = upsert = remove = None

    def __init__(self, *ids, made=None, then=()):
        super().__init__(None, None, httpx.Client())
        self.ids, self.made, self.then, self.asked = [*ids], made, [*then], 0

    def make(self, name):
        self.asked += 1
        self.ids += self.then
        if isinstance(self.made, Exception):
            raise self.made
        return self.made

    def prepare(self, name):
        return self.found_or_made("Flock tag", name, lambda name: self.ids, self.make)


def test_a_list_that_is_there_is_taken():
    """
    The one that has the name is the list, and none is made.
    """
    lists = Flock(7)

    assert lists.prepare("VIP") == "7"
    assert lists.asked == 0


@pytest.mark.parametrize("made", [9, BatchRefused("name taken")], ids=["told", "refused"])
def test_whoever_made_one_takes_the_first(made):
    """
    Another run has made one too: all take the first, also where this run's was refused.
    """
    assert Flock(made=made, then=[8, 9]).prepare("VIP") == "8"


def test_a_list_that_is_not_shown_yet_is_the_one_that_was_told():
    """
    Where the provider does not list at once what it has made, its answer counts.
    """
    assert Flock(made=9).prepare("VIP") == "9"


def test_a_list_that_cannot_be_made_is_told_in_the_providers_words():
    """
    None is there afterwards: the error says why, and what to do.
    """
    lists = Flock(made=BatchRefused("too long"))

    with pytest.raises(DefinitionError, match="no Flock tag 'VIP' can be made: too long\n  do: give the list another"):
        lists.prepare("VIP")


def test_several_of_a_name_are_no_ones_choice():
    """
    Which of them is meant, only their owner knows: the error names them, and none is made.
    """
    lists = Flock(5, 6)

    with pytest.raises(DefinitionError, match="several Flock tags: 5, 6\n  do: rename all but one"):
        lists.prepare("VIP")
    assert lists.asked == 0
