"""A list is made once, whoever else makes it at the same moment, and whatever becomes of the answer."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest

import story
from audiences import Connector, DefinitionError, connectors
from audiences.errors import Unanswered
from audiences.http.wire import SIGN_IN, only_reads
from audiences.property import ByProperty
from test_every_connector import Clock, cases


def makes_lists(case):
    """Whether a connector makes a list where there is none; a property of people needs no making."""
    cls = connectors.find(case[0].stem, [case[0].parent])
    return cls.prepare is not Connector.prepare and not issubclass(cls, ByProperty)


every_maker = pytest.mark.parametrize("case", [each for each in cases("__call__") if makes_lists(each.values[0])])


class Account:
    """A sandbox, and runs that want its list."""

    def __init__(self, path, module, options, folder):
        self.path, self.options, self.clock = path, options, Clock()
        self.sandbox = story.sandbox_with(module, options)
        self.folder = story.account(self.sandbox, folder)

    def prepare(self, answer=None):
        """The id of the list for a run whose calls that change something are answered so."""

        def far(request):
            looks = only_reads(request) or SIGN_IN in request.extensions
            return self.sandbox(request) if looks or answer is None else answer(request)

        line = {"transport": httpx.MockTransport(far), "sleep": self.clock.sleep, "clock": self.clock}
        remote = story.remote(self.path, self.options, self.sandbox, self.folder, **line)
        return remote.prepare(self.sandbox.list)


@pytest.fixture
def account(case, tmp_path):
    return Account(*case, tmp_path)


@every_maker
def test_two_runs_at_once_take_one_list(account):
    """
    Where another run makes the list right before this one would, both have the same, or one is told of both.
    """
    other = []

    def answer(request):
        if not other:
            other.append(account.prepare())
        return account.sandbox(request)

    same(account, answer, other)


@every_maker
def test_a_list_whose_making_had_no_answer_is_made_once(account):
    """
    The answer to the making is lost. The call is not made again but where that makes no second list: this run ends, and
    the next one has the list that another run has found since.
    """
    lost = []

    def answer(request):
        said = account.sandbox(request)
        if not lost:
            lost.append(account.prepare())
            raise httpx.ReadError("cut")
        return said

    with suppress(Unanswered):
        same(account, answer, lost)

    assert [account.prepare()] == lost


def same(account, answer, other):
    """This run has the list that the other one has, or stops with a word on it."""
    try:
        found = account.prepare(answer)
    except DefinitionError as error:
        found = other[0] if other[0].partition("/")[0] in error.what else error.what

    assert [found] == other, "if there is no other: the sandbox has the list already, and nobody makes it"
