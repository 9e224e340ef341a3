"""The demo: two days of a real shop, told with the commands that anyone would type."""

from __future__ import annotations

import base64
import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from audiences import definition
from audiences.audience import Sync
from audiences.connectors import shipped
from audiences.demo import receiver, warehouse
from audiences.errors import AudienceError

Echo = Callable[[str], None]
Content = list[tuple[str, ...]]  # a row a member, its fields as text in the order of `send`; sorted

HEAD, TAIL = 6, 2  # lines of a long output that are shown
OURS = ("AUDIENCES_", "WEBHOOK_", "FILE_")  # variables of the person's own projects, which the demo must not touch

FIRST = """\
DAY ONE. The warehouse holds the real purchases of 23,570 customers of a music shop (CDNOW, 1997 and 1998; the dates are
moved so that the newest are of yesterday). Survey answers, plans and app events beside them are simulated.
Twelve SQL files say who belongs on which list. Some lists are files, some are kept by a receiver of webhooks, which
this demo runs on loopback. One of the SQL files:
"""

SECOND = """
DAY TWO. A day has passed: the next real day of purchases is in, and everything else is a day older.
Only the difference travels, and whoever no longer belongs is taken off the list."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A project in a folder of its own, and the receiver that its webhook speaks to; zone: the demo's time zone."""

    folder: Path
    zone: str
    secret: str = field(repr=False)
    inbox: receiver.Receiver
    echo: Echo

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def lists(self) -> Path:
        return self.folder / "lists"

    def environment(self) -> dict[str, str]:
        """The person's own, but for what concerns their own projects."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return own | {
            "AUDIENCES_WAREHOUSE_URL": f"duckdb:///{self.warehouse}",
            "AUDIENCES_STATE_URL": f"sqlite:///{self.folder / 'state.sqlite'}",
            "AUDIENCES_LOG_LEVEL": "warning",
            "WEBHOOK_URL": self.inbox.url,
            "WEBHOOK_SECRET": self.secret,
            "FILE_FOLDER": str(self.lists),
            "TZ": self.zone,
            "PYTHONUTF8": "1",
        }

    def type(self, *words: str) -> None:
        """Show a command and what it prints, or the two ends of it. Raises AudienceError where it does not end well."""
        command = " ".join(("audiences", *words))
        ended = subprocess.run(
            [sys.executable, "-m", "audiences", *words],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.echo(f"\n$ {command}")
        lines = ended.stdout.splitlines()
        for line in lines if ended.returncode else abridged(lines):
            self.echo(line)
        if ended.returncode:
            raise AudienceError(f"`{command}` ended with exit code {ended.returncode}", do="read its words above")


def abridged(lines: Sequence[str]) -> Sequence[str]:
    """The lines, or where they are many the first of them, how many are left out, and the last."""
    if len(lines) <= HEAD + TAIL + 1:
        return lines
    return [*lines[:HEAD], f"  … {len(lines) - HEAD - TAIL} lines more, like these …", *lines[-TAIL:]]


def tell(echo: Echo) -> None:
    """Show the whole way on a warehouse and a receiver of its own, which are gone afterwards. Raises AudienceError."""
    secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
    with TemporaryDirectory(prefix="audiences-demo-") as folder, receiver.receiving(secret) as inbox:
        scene = Scene(Path(folder), zone(datetime.now(UTC)), secret, inbox, echo)
        first_day(scene)
        second_day(scene)
        compare(scene)


def zone(now: datetime) -> str:
    """UTC, or late in its evening a zone two hours behind: a midnight inside the demo would move `current_date`."""
    return "Etc/GMT+2" if now.hour == 23 else "Etc/UTC"


def first_day(scene: Scene) -> None:
    """An empty list everywhere: everyone whom a query returns is added."""
    shutil.copytree(shipped("audiences"), scene.folder / "audiences")
    warehouse.build(scene.warehouse, warehouse.today(scene.zone))
    scene.echo(FIRST)
    for line in (scene.folder / "audiences" / "detractors.sql").read_text("utf-8").splitlines():
        scene.echo(f"    {line}")
    scene.type("plan", "detractors")
    scene.type("sync", "--all")


def second_day(scene: Scene) -> None:
    """The next real day of purchases is in, everything else is a day older: only the difference is sent."""
    told = scene.inbox.changes
    warehouse.pass_a_day(scene.warehouse)
    scene.echo(SECOND)
    scene.type("plan")
    scene.type("sync", "--all")
    scene.type("status")
    since = scene.inbox.changes - told
    scene.echo(
        f"\nThe receiver was told of {told:,} members on day one, of {since:,} on day two; the others are in files."
    )
    shown = httpx.get(f"{scene.inbox.url}lists", trust_env=False).json()["Detractors"]
    scene.echo(f"It shows its lists with people masked; three of the {shown['members']:,} detractors:")
    for member in shown["sample"]:
        scene.echo("  " + "   ".join(member.values()))


def compare(scene: Scene) -> None:
    """Hold every list, as its destination has it, against its query. Raises AudienceError where one differs."""
    scene.echo("\nEvery list, as its destination has it now, held against its query, member by member, field by field:")
    equal = []
    for sync, wanted in queried(scene):
        found = delivered(scene, sync)
        equal.append(found == wanted)
        verdict = "equal to its query" if equal[-1] else f"DIFFERENT: its query returns {len(wanted):,}"
        scene.echo(f"  {sync.connector:8} {sync.shown_list:24} {len(found):6,} members   {verdict}")
    if not all(equal):
        raise AudienceError(
            f"{equal.count(False)} of {len(equal)} lists differ from their query",
            do="report it: this must never happen",
        )


def queried(scene: Scene) -> Iterator[tuple[Sync, Content]]:
    """What each list should hold, asked of the warehouse itself, without any of the worker's accounting."""
    for path in sorted((scene.folder / "audiences").glob("*.sql")):
        audience = definition.load(path, "duckdb")
        with warehouse.opened(scene.warehouse, scene.zone) as db:
            answer = db.execute(audience.select)
            names = [column[0] for column in answer.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
        for sync in audience.syncs:
            yield sync, content(sync, ({name: row[column] for name, column in sync.send.items()} for row in rows))


def delivered(scene: Scene, sync: Sync) -> Content:
    """What the destination holds."""
    if sync.connector == "webhook":
        return content(sync, scene.inbox.lists[sync.shown_list].values())
    with (scene.lists / f"{sync.shown_list}.csv").open(encoding="utf-8", newline="") as lines:
        return content(sync, csv.DictReader(lines))


def content(sync: Sync, members: Iterable[Mapping[str, object]]) -> Content:
    """Members as they compare, wherever they come from: a file has only text."""
    return sorted(tuple(str(member[name]) for name in sync.send) for member in members)
