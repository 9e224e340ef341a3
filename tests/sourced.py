"""What is asked of every engine that is only read, in the words of its own test file."""

from __future__ import annotations

from billboard import Ads, hashed
from world import HEADER


def asks(world, select):
    """Let the audience ask this."""
    world.define(text=HEADER.replace("select id, email, nps from people", select))


def failed(world, select):
    """What is said of a query that fails."""
    asks(world, select)
    return str(world.sync().error)


def two_syncs(world):
    """A first sync, a second with an addition, an update, a move and a removal, and a third that has nothing to do."""
    world.people((1, "a@x"), (2, "b@x"), (3, "c@x"), (4, "d@x"))
    first = world.sync()
    world.people((1, "a@x"), (2, "b@x", 7), (3, "new@x"), (5, "e@x"))
    second = world.sync(force=True)

    assert (first.error, first.outcome, second.error, second.outcome) == (None, "delivered", None, "delivered")
    assert world.listed() == {"a@x": 0, "b@x": 7, "new@x": 0, "e@x": 0}
    assert (second.plan.added, second.plan.updated, second.plan.removed) == (1, 2, 1)
    assert world.sync().outcome == "unchanged"


def travelled(world, values, key="1", tail=""):
    """What arrives of these values, as the engine writes them; the first member's where there are several."""
    columns = ", ".join(f"{value} as v{n}" for n, value in enumerate(values))
    send = "".join(f', "v{n}"' for n in range(len(values)))
    text = HEADER.replace(', "nps"', send, 1).replace("select id, email, nps from people", f"select {key} as id, 'p@x'")
    world.define(text=text.replace("'p@x'\n", f"'p@x' as email, {columns} {tail}\n"))
    result = world.sync()

    assert (str(result.error), result.refused) == ("None", 0)
    fields = world.receiver.sent("upsert")[0]["fields"]
    return [fields[f"v{n}"] for n in range(len(values))]


def several(folder, engine, columns="id bigint, mails varchar[]"):
    """An array is as many identifiers as it has different ones."""
    ads = Ads(folder, columns, 'send = { email = "mails" }', engine)
    ads.customers((1, ["A@example.com", "b@example.com", "a@example.com ", None]), (2, []))
    plan = ads.sync().plan

    assert (plan.added, plan.nameless) == (2, 1)
    assert ads.receiver.held == {hashed("email", f"{name}@example.com") for name in "ab"}
    assert ads.sync().outcome == "unchanged"
