"""A project's folder: what it defines, what is broken in it, and what a name means."""

from __future__ import annotations

import pytest

from audiences import project
from audiences.errors import DefinitionError
from audiences.identity import Form

CONNECTOR = """
from pydantic import field_validator

from audiences import Chosen, Limits, Receipt


class Mailing(Chosen):
    limits = Limits(batch=10)

    class Options(Chosen.Options):
        audience_id: str
        tags: tuple[str, ...] = ()

        @field_validator("audience_id")
        @classmethod
        def digits(cls, value):
            if not value.isdigit():
                raise ValueError("must be digits: see your account's settings")
            return value

    @classmethod
    def reach(cls, settings):
        return {}

    def upsert(self, list_id, members):
        return Receipt.of(members)

    def remove(self, list_id, members):
        return Receipt.of(members)
"""

WEBHOOK = """
[sync.webhook]
list = "{list}"
send = ["email"]
"""
MAILING = """
[sync.mailing]
list_id = "{list}"
send = ["email", "name"]
audience_id = "17"
"""


def defined(folder, name, syncs=WEBHOOK, **words):
    """Write one audience; `[sync.…]` of the first sync stands on line 7."""
    toml = 'about = "x"\nowner = "cx@example.com"\nkey = "id"\nschedule = "@daily"\n' + syncs.format(
        **{"list": name, **words}
    )
    header = "".join(f"-- {line}\n" for line in toml.splitlines())
    (folder / "audiences").mkdir(exist_ok=True)
    (folder / "audiences" / f"{name}.sql").write_text(
        f"-- /// audience\n{header}-- ///\nselect id, email, name from b\n"
    )


@pytest.fixture
def folder(tmp_path):
    """A project with a connector of its own, `mailing`."""
    (tmp_path / "audiences").mkdir()
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "mailing.py").write_text(CONNECTOR)
    return tmp_path


def loaded(folder):
    return project.load(folder, "duckdb")


def names(audiences):
    return [sync.name for audience in audiences for sync in audience.syncs]


def only_error(folder):
    """The one thing that is wrong, with the folder left out."""
    (error,) = loaded(folder).errors
    return str(error).replace(f"{folder}/", "")


def test_every_definition_is_bound_to_its_connector(folder):
    """
    A sync comes with its connector, that connector's options as its own type, and what identifies a member.
    """
    defined(folder, "buyers", WEBHOOK + MAILING)

    found = loaded(folder)
    bound = found.bindings["buyers.mailing"]

    assert found.errors == ()
    assert names(found.audiences) == ["buyers.webhook", "buyers.mailing"]
    assert (bound.sync, bound.connector.__name__) == (found.audiences[0].syncs[1], "Mailing")
    assert (bound.options.audience_id, bound.options.tags) == ("17", ())
    assert bound.identity == {"email": Form.CASELESS}


def test_a_broken_file_hides_no_other(folder):
    """
    What can be read is read; what cannot is told, and is not taken for gone.
    """
    defined(folder, "buyers")
    defined(folder, "visitors", WEBHOOK.replace("send", "mode = 1\nsend"))

    found = loaded(folder)

    assert [audience.name for audience in found.audiences] == ["buyers"]
    assert found.bindings.keys() == {"buyers.webhook"}
    assert found.broken.keys() == {"visitors"}
    assert "visitors.sql:9 sync.webhook.mode must be" in str(found.errors[0])


def test_an_unknown_option_names_the_nearest_key(folder):
    """
    A misspelled key of a section is told its line and what it may have meant: an option, or a key of every sync.
    """
    defined(folder, "buyers", MAILING + "tag = []")

    assert only_error(folder).startswith(
        "audiences/buyers.sql:11 has an unknown key: sync.mailing.tag\n  do: did you mean tags? known: audience_id"
    )

    defined(folder, "buyers", WEBHOOK + "pausd = true")

    assert "buyers.sql:10 has an unknown key: sync.webhook.pausd\n  do: did you mean paused?" in only_error(folder)


def test_an_option_that_is_missing_or_wrong_is_refused(folder):
    """
    A connector's own options are checked as the header's keys are.
    """
    defined(folder, "buyers", MAILING.replace("audience_id", "# "))

    assert only_error(folder).startswith("audiences/buyers.sql:7 lacks sync.mailing.audience_id\n  do: ")

    defined(folder, "buyers", MAILING + "tags = [1]")

    assert only_error(folder).startswith("audiences/buyers.sql:11 sync.mailing.tags must be a valid string")

    defined(folder, "buyers", MAILING.replace('"17"', '"x"'))

    assert only_error(folder).startswith("audiences/buyers.sql:10 sync.mailing.audience_id must be digits: see your")


def test_an_unknown_connector_is_refused_at_its_section(folder):
    """
    The section is named, and the connectors that there are.
    """
    defined(folder, "buyers", WEBHOOK.replace("webhook", "webhok"))

    said = only_error(folder)

    assert said.startswith("audiences/buyers.sql:7 there is no connector 'webhok'")
    assert "webhook" in said.splitlines()[1]


def test_a_sync_that_identifies_nobody_is_refused_at_its_section(folder):
    """
    What the connector says of `send` is told with file and line.
    """
    defined(folder, "buyers", WEBHOOK + 'identify = ["phone"]')

    assert only_error(folder).startswith(
        "audiences/buyers.sql:7 identify names 'phone', which is not sent\n  do: add it"
    )


def test_a_list_that_cannot_be_called_so_is_refused_at_its_section(folder):
    """
    A name that would leave the folder of lists is found before anything is run.
    """
    defined(folder, "buyers", WEBHOOK.replace("webhook", "file").replace("{list}", "../buyers"))

    assert only_error(folder).startswith(
        "audiences/buyers.sql:7 a list in a file cannot be called '../buyers'\n  do: leave out separators"
    )


def test_two_syncs_on_one_list_are_refused(folder):
    """
    Two audiences in one list of one account would each remove the other's members: both are named, neither runs.
    """
    defined(folder, "buyers", list="All")
    defined(folder, "lapsed", list="All")
    defined(folder, "others")

    found = loaded(folder)

    assert only_error(folder).startswith(
        "audiences/lapsed.sql:7 lapsed.webhook has the same list as buyers.webhook (audiences/buyers.sql:7): All\n"
    )
    assert found.broken.keys() == {"buyers", "lapsed"}
    assert names(found.audiences) == ["others.webhook"]


def test_two_syncs_on_one_list_id_are_refused(folder):
    """
    An id is a list as a name is.
    """
    defined(folder, "buyers", MAILING, list="9")
    defined(folder, "lapsed", MAILING, list="9")

    assert "lapsed.mailing has the same list as buyers.mailing" in only_error(folder)


def test_one_list_name_in_two_accounts_is_two_lists(folder):
    """
    Accounts do not share lists, and a name is no id.
    """
    defined(folder, "buyers", WEBHOOK + WEBHOOK.replace("sync.webhook]", 'sync.webhook_eu]\nconnector = "webhook"'))
    defined(folder, "lapsed", WEBHOOK.replace("list =", "list_id ="), list="buyers")

    assert loaded(folder).errors == ()


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ([], ["buyers.webhook", "power_b.webhook", "power_users.webhook", "power_users.mailing"]),
        (["buyers"], ["buyers.webhook"]),
        (["power_users"], ["power_users.webhook", "power_users.mailing"]),
        (["power_users.mailing"], ["power_users.mailing"]),
        (["power_*"], ["power_b.webhook", "power_users.webhook", "power_users.mailing"]),
        (["*.mailing", "buyers"], ["buyers.webhook", "power_users.mailing"]),
        (["power_users.mailing", "power_users"], ["power_users.webhook", "power_users.mailing"]),
    ],
)
def test_a_name_selects(folder, asked, meant):
    """
    An audience, one of its syncs, or a pattern of either; each sync once, in the order of the files.
    """
    defined(folder, "buyers")
    defined(folder, "power_b")
    defined(folder, "power_users", WEBHOOK + MAILING)

    assert names(loaded(folder).select(asked)) == meant


@pytest.mark.parametrize(
    ("asked", "near"), [("buyrs", "buyers"), ("buyers.webhok", "buyers.webhook"), ("BUYERS", "buyers")]
)
def test_a_name_that_means_nothing_is_refused(folder, asked, near):
    """
    A misspelled name selects nothing silently: it is an error that names the nearest.
    """
    defined(folder, "buyers")

    with pytest.raises(DefinitionError) as caught:
        loaded(folder).select(["buyers", asked])

    assert str(caught.value) == (
        f"no audience or sync is named {asked!r}\n  do: did you mean {near}? known: buyers, buyers.webhook"
    )


def test_a_pattern_that_means_nothing_is_refused(folder):
    """
    A pattern without a match is a mistake, also in a project without audiences.
    """
    with pytest.raises(DefinitionError, match="no audience or sync is named 'x\\*'\n  do: known: none"):
        loaded(folder).select(["x*"])


def test_a_broken_audience_that_is_asked_for_tells_why(folder):
    """
    Whoever names a broken audience, a sync of it or a pattern of it alone reads its mistake, not that it is unknown.
    """
    defined(folder, "another", "")
    defined(folder, "buyers", WEBHOOK + "pausd = true")

    for asked in ("buyers", "buyers.webhook", "buy*"):
        with pytest.raises(DefinitionError, match=r"unknown key: sync\.webhook\.pausd"):
            loaded(folder).select([asked])


def test_a_folder_without_audiences_is_no_project(tmp_path):
    """
    Run in the wrong folder, a command says so.
    """
    with pytest.raises(DefinitionError, match=r"there is no audiences/ in .*\n  do: .*audiences init"):
        loaded(tmp_path)


def test_files_that_are_no_definitions_break_only_themselves(folder):
    """
    A binary file, an empty one, a folder named like a file: each is one error.
    """
    defined(folder, "buyers")
    (folder / "audiences" / "blank.sql").write_text("")
    (folder / "audiences" / "binary.sql").write_bytes(bytes(range(256)))
    (folder / "audiences" / "folder.sql").mkdir()
    (folder / "audiences" / "notes.md").write_text("no definition")

    found = loaded(folder)

    assert names(found.audiences) == ["buyers.webhook"]
    assert found.broken.keys() == {"blank", "binary", "folder"}
