"""Membership as a property, whoever the provider is: what a list is called there, and what each change leaves alone."""

from __future__ import annotations

import json
from typing import Literal

import httpx
import pytest

from audiences import ByProperty, DefinitionError, Mark, Member, Receipt, connectors, http, project
from world import HEADER, World

PARROT = '''"""Parrot keeps profiles, and says nothing but yes. Set-up: nothing."""

from audiences import ByProperty, Limits


class Parrot(ByProperty):
    known_by = "user_id"
    longest = 40
    limits = Limits(batch=100)

    @classmethod
    def reach(cls, settings):
        return {"base_url": "https://parrot.example.com"}

    def write(self, changes):
        told = [[c.user, c.set, list(c.unset), c.add, c.take] for c in changes]
        self.http.post("/profiles", json=told)
        return {c.key: "no such user" for c in changes if c.user == "nobody"}
'''


class Provider:
    """Profiles in memory: user -> properties."""

    def __init__(self, **profiles):
        self.profiles, self.calls = profiles, 0

    def __call__(self, request):
        self.calls += 1
        for user, given, unset, add, take in json.loads(request.content):
            held = self.profiles.setdefault(user, {})
            held.update(given)
            for name in unset:
                held.pop(name, None)
            for name, text in add.items():
                held[name] = [*(each for each in held.get(name, []) if each != text), text]
            for name, text in take.items():
                held[name] = [each for each in held.get(name, []) if each != text]
        return httpx.Response(200)


@pytest.fixture(scope="session")
def parrot(tmp_path_factory):
    """The connector's class, found as a project's own is."""
    folder = tmp_path_factory.mktemp("connectors")
    (folder / "parrot.py").write_text(PARROT)
    return connectors.find("parrot", [folder])


@pytest.fixture
def speak(parrot):
    """A connector with these options, for the profiles of a provider."""

    def speak(provider, send=("user_id", "plan"), **options):
        line = http.client(parrot.reach(None), parrot.limits, transport=httpx.MockTransport(provider))
        return parrot(None, parrot.Options(**options), line, send=send)

    return speak


def ada(**fields):
    return [Member("7", {"user_id": "ada", **fields}, 1)]


ARRAY, BOOLEAN = {"membership": "array"}, {"membership": "boolean"}
either = pytest.mark.parametrize("options", [ARRAY, BOOLEAN], ids=["array", "boolean"])


def test_an_array_gains_and_loses_one_name(speak):
    """
    The list's name comes to those that are there, once, and goes alone.
    """
    provider = Provider(ada={"audiences": ["VIPs"], "city": "London"})
    remote = speak(provider)
    mark = remote.prepare("Detractors")

    for _ in range(2):
        remote.upsert(mark, ada(plan="free"))

        assert provider.profiles["ada"] == {"audiences": ["VIPs", "Detractors"], "city": "London", "plan": "free"}
    for _ in range(2):
        remote.remove(mark, ada(plan="free"))

        assert provider.profiles["ada"] == {"audiences": ["VIPs"], "city": "London", "plan": "free"}


def test_a_boolean_is_true_or_not_there(speak):
    """
    On the list it is true; off the list it is unset, and what was sent stays.
    """
    provider = Provider(ada={"city": "London"})
    remote = speak(provider, membership="boolean")
    mark = remote.prepare("Detractors")

    for _ in range(2):
        remote.upsert(mark, ada(plan="free"))

        assert provider.profiles["ada"] == {"in_detractors": True, "city": "London", "plan": "free"}
    for _ in range(2):
        remote.remove(mark, ada(plan="free"))

        assert provider.profiles["ada"] == {"city": "London", "plan": "free"}


@either
@pytest.mark.parametrize(("null", "plan"), [("clear", {}), ("keep", {"plan": "free"})])
def test_null_unsets_or_keeps(speak, options, null, plan):
    """
    A field that is NULL is unset, or with `null = "keep"` left as it was; the other fields arrive either way.
    """
    provider = Provider(ada={"plan": "free", "score": 1})
    remote = speak(provider, **options, null=null)

    remote.upsert(remote.prepare("L"), ada(plan=None, score=0))

    kept = {name: value for name, value in provider.profiles["ada"].items() if name not in ("audiences", "in_l")}
    assert kept == {"score": 0, **plan}


@either
def test_two_lists_do_not_undo_each_other(speak, options):
    """
    Whoever is on two lists of one provider and leaves one is still on the other.
    """
    provider = Provider()
    remote = speak(provider, **options)
    first, second = remote.prepare("Detractors"), remote.prepare("Detractors 2")

    remote.upsert(first, ada())
    remote.upsert(second, ada())
    remote.remove(first, ada())

    said = provider.profiles["ada"]
    assert Mark.of(second).holds(said[Mark.of(second).property])
    assert not Mark.of(first).holds(said.get(Mark.of(first).property))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Detractors", "in_detractors"),
        ("NPS détracteurs [2026]", "in_nps_detracteurs_2026"),
        ("  -- VIP / Gold --  ", "in_vip_gold"),
        ("Straße", "in_strasse"),
        ("ＶＩＰ", "in_vip"),
        ("in detractors", "in_in_detractors"),
        ("漢字 2", "in_2"),
    ],
)
def test_a_boolean_is_called_after_its_list(speak, name, expected):
    """
    `in_` and the name: no accents, lower case, each run of anything but a to z and 0 to 9 as one `_`.
    """
    assert speak(Provider(), **BOOLEAN).prepare(name) == expected


def test_a_name_that_leaves_nothing_asks_for_a_property(speak):
    """
    A list whose name has no letter from a to z and no digit needs a `property`, and the error says so.
    """
    with pytest.raises(DefinitionError, match="write property ="):
        speak(Provider(), **BOOLEAN).prepare("漢字")
    assert speak(Provider(), **BOOLEAN, property="kanji").prepare("漢字") == "kanji"


@pytest.mark.parametrize(
    "mark", [Mark("in_vips"), Mark("audiences", "VIPs"), Mark("audiences", "a: b"), Mark("a", ": ")]
)
def test_a_list_id_tells_its_mark(mark):
    """
    What `prepare` gives names the property, and the text in it, without the options.
    """
    assert Mark.of(str(mark)) == mark


@pytest.mark.parametrize(
    ("mark", "value", "held"),
    [
        (Mark("audiences", "A"), ["B", "A"], True),
        (Mark("audiences", "A"), ["AA"], False),
        (Mark("audiences", "A"), "A", False),
        (Mark("audiences", "A"), None, False),
        (Mark("in_a"), True, True),
        (Mark("in_a"), False, False),
        (Mark("in_a"), "true", False),
        (Mark("in_a"), None, False),
    ],
)
def test_a_mark_is_read_back_exactly(mark, value, held):
    """
    Only the very text in an array, or true itself, says that someone is on the list.
    """
    assert mark.holds(value) is held


@pytest.mark.parametrize(
    ("options", "send"),
    [
        (ARRAY, ["user_id", "audiences"]),
        ({**ARRAY, "property": "plan"}, ["user_id", "plan"]),
        ({**BOOLEAN, "property": "plan"}, ["plan"]),
        ({**ARRAY, "property": "user_id"}, ["plan"]),
    ],
)
def test_a_field_is_not_the_list_as_well(parrot, options, send):
    """
    A property that is sent, or names the user, cannot say who is on the list: `audiences check` finds it.
    """
    with pytest.raises(DefinitionError, match="write another name as `property`"):
        parrot.identify(parrot.Options(**options), send)


def test_a_field_is_not_the_boolean_of_its_list(speak):
    """
    Where the boolean is called after the list, a field of that name stops the sync before anything is sent.
    """
    provider = Provider()
    remote = speak(provider, **BOOLEAN)

    with pytest.raises(DefinitionError, match="'in_vips'"):
        remote.upsert(remote.prepare("VIPs"), ada(in_vips=3))
    assert provider.calls == 0


def test_a_profile_is_the_users_or_the_keys(speak):
    """
    The field that names the user says whose profile it is, as text; where it is not sent, the member's key does.
    """
    provider = Provider()
    mark = "audiences: L"

    speak(provider).upsert(mark, [Member("7", {"user_id": 12, "plan": "free"}, 1)])
    speak(provider, send=["plan"]).upsert(mark, [Member("8", {"plan": "pro"}, 1)])

    assert provider.profiles == {
        "12": {"plan": "free", "audiences": ["L"]},
        "8": {"plan": "pro", "audiences": ["L"]},
    }


def test_what_the_provider_refuses_is_said_by_key(speak):
    """
    A receipt speaks of every change: those that `write` names are rejected, the others accepted.
    """
    people = [Member("7", {"user_id": "ada"}, 1), Member("8", {"user_id": "nobody"}, 2)]

    receipt = speak(Provider()).upsert("audiences: L", people)

    assert receipt.accepted == {"7"}
    assert receipt.rejected == {"8": "no such user"}


@pytest.mark.parametrize(
    ("list_id", "options"),
    [
        ("audiences: L", BOOLEAN),
        ("in_l", ARRAY),
        ("audiences: L", {**ARRAY, "property": "lists"}),
        ("in_l", {**BOOLEAN, "property": "vip"}),
        ("L", ARRAY),
        ('in_"l', BOOLEAN),
    ],
)
def test_a_list_is_not_kept_in_two_ways(speak, list_id, options):
    """
    Options that were changed since the list was filled, or a list_id that they do not mean, stop the sync before it
    sends anything.
    """
    provider = Provider()
    remote = speak(provider, **options)

    with pytest.raises(DefinitionError):
        remote.upsert(list_id, ada())
    assert provider.calls == 0


@pytest.mark.parametrize(
    ("options", "name"), [(ARRAY, "é" * 21), (BOOLEAN, "a" * 38), ({**ARRAY, "property": "p" * 41}, "L")]
)
def test_what_would_be_cut_is_refused(speak, options, name):
    """
    A text that is longer than the provider keeps would never be found again, so it is refused, with the limit.
    """
    with pytest.raises(DefinitionError, match="40 bytes"):
        speak(Provider(), **options).prepare(name)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, "parrot")
    world.receiver = Provider()
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "parrot.py").write_text(PARROT)
    return world


def test_two_names_of_one_boolean_are_refused(world):
    """
    Two lists whose names come to one boolean are found before the second one sends anything.
    """
    world.define('membership = "boolean"', name="team")
    text = (world.folder / "audiences" / "team.sql").read_text()
    (world.folder / "audiences" / "other.sql").write_text(text.replace('"L"', '"(l)"'))
    world.people((1, "a@example.com"))

    results = {result.binding.sync.audience: result for result in world.results()}

    errors = [result.error for result in results.values() if result.error]
    assert [type(error) for error in errors] == [DefinitionError]
    assert "one and the same list" in errors[0].what
    assert world.receiver.calls == 1


def test_a_list_moves_to_another_property(world):
    """
    A new list under new options gets everybody, and the old one, filled under other options, is emptied.
    """
    world.people((1, "a@example.com"), (2, "b@example.com"))
    world.define()
    world.sync()

    world.define('membership = "boolean"', text=HEADER.replace('"L"', '"VIPs"'))
    world.sync()

    assert {user: marks(held) for user, held in world.receiver.profiles.items()} == {
        "1": {"audiences": [], "in_vips": True},
        "2": {"audiences": [], "in_vips": True},
    }


def test_new_options_alone_move_nothing(world):
    """
    Changed options stop the sync, and say both how the list is kept and the way out.
    """
    world.people((1, "a@example.com"))
    world.define()
    world.sync()
    world.people((1, "b@example.com"))
    world.define('membership = "boolean"')

    error = world.sync().error

    assert "'audiences: L'" in error.what
    assert "put the options back" in error.do


@pytest.mark.parametrize("more", ['property = "$set"', 'membership = "maybe"', 'null = "drop"', 'property = ""'])
def test_a_wrong_option_is_named(world, more):
    """
    An option that cannot be is refused by `check`, with its name and how it is written.
    """
    world.define(more)

    [error] = project.load(world.folder, "duckdb").errors

    assert more.split()[0] in error.what
    assert f"write {more.split()[0]} = " in error.do


def marks(held):
    return {name: value for name, value in held.items() if name not in ("email", "nps")}


def test_what_a_connector_must_say_is_asked_for(tmp_path):
    """
    One that leaves out how its provider knows a user, or how long a name may be, is told so by name.
    """
    text = PARROT.replace('    known_by = "user_id"\n    longest = 40\n', "")
    (tmp_path / "parrot.py").write_text(text)

    with pytest.raises(DefinitionError, match="Parrot has no known_by, longest"):
        connectors.find("parrot", [tmp_path])


def test_a_provider_may_have_one_kind(parrot):
    """
    A connector whose provider has no arrays narrows the option, and the other kind is refused.
    """

    class Flags(parrot):
        class Options(ByProperty.Options):
            membership: Literal["boolean"] = "boolean"

    assert Flags.Options().membership == "boolean"
    with pytest.raises(ValueError, match="boolean"):
        Flags.Options(membership="array")


def test_changes_may_be_judged_later(parrot):
    """
    A receipt with a ticket, in the place of reasons, is the verb's own.
    """

    class Later(parrot):
        def write(self, changes):
            return Receipt(frozenset(each.key for each in changes), ticket="job-1")

    remote = Later(None, parrot.Options(), None, send=("user_id",))

    for verb in (remote.upsert, remote.remove):
        assert verb("audiences: Detractors", ada()) == Receipt({"7"}, ticket="job-1")
