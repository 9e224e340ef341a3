"""Two projects with one warehouse: each keeps what it remembers in a schema of its own."""

from __future__ import annotations

import shutil

from prompt import Project


def test_two_projects_share_a_warehouse_in_two_schemas(tmp_path, engine):
    """
    An audience of the same name in both: each remembers its own members, removes nobody of the other's, and finds no
    orphan of the other's.
    """
    ours = Project(tmp_path, engine)
    where = ours.url.render_as_string(hide_password=False)
    ours.people((1, "ada@x", 1), (2, "bob@x", 2))
    theirs = tmp_path / "theirs"
    shutil.copytree(tmp_path / "audiences", theirs / "audiences")
    query = theirs / "audiences" / "team.sql"
    query.write_text(query.read_text().replace("from people", "from people where id = 1"))
    own = {"AUDIENCES_WAREHOUSE_URL": where, "FILE_FOLDER": str(theirs / "lists")}
    own |= {"AUDIENCES_SCHEMA": "their_sync", "AUDIENCES_STATE_URL": f"sqlite:///{theirs}/s.sqlite"}

    codes = [ours.types("sync", "team").code, ours.types("-C", str(theirs), "sync", "team", **own).code]
    ours.people((2, "bob@x", 2))
    codes += [ours.types("sync", "team").code, ours.types("-C", str(theirs), "sync", "team", **own).code]
    status = [ours.types("status").out, ours.types("-C", str(theirs), "status", **own).out]

    assert codes == [0, 0, 0, 3], "theirs is empty now, which is refused; ours lost one of two"
    assert [line.partition(",")[2] for line in ours.written()] == ["bob@x,2"]
    assert "ada@x" in (theirs / "lists" / "L.csv").read_text()
    assert not any("orphan" in each for each in status)
