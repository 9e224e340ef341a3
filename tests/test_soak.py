"""Two workers that stay, on one PostgreSQL, while everything around them goes wrong: the lists equal the queries."""

from __future__ import annotations

import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import count, dropwhile
from pathlib import Path
from threading import Lock
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from prompt import answering
from scale import LONGER, THOROUGH, times
from states import rows
from world import HEADER, SECRET

pytestmark = pytest.mark.skipif(not (LONGER or THOROUGH), reason="the soak: LONGER=1 make test, or make thorough")
SECONDS = times(0, 900, 25)
GUARD = "-- [guard]\n-- floor = 1000\n-- empty = true\n"
HURRY = 20  # an audience that is due every minute is so every three seconds
AUDIENCES, ACCOUNTS, PEOPLE = 20, 4, 400
BAD = 13  # an nps that the receiver refuses
LIFE = min(25, SECONDS / 4)  # seconds, of the worker that is replaced
GROWTH = times(0, 2, 25) / 100  # of a worker's memory in the second half of its life; a young one still imports
MORE = times(0, 2, 6)  # files open at its end; a quarter of the short soak is a few looks, and a leak would be dozens
PATIENCE = 120  # seconds, for what must come true in the end


class Receiver:
    """Lists by name. Called from many threads; what becomes of a call, dice say while there are any.

    flights:  sync -> (run, replica) of each call that is being answered
    overlaps: (sync, run, other run) of calls that met one of another run
    late:     (sync, run) of calls that came after one of a newer run
    served:   replica -> calls
    """

    def __init__(self, dice):
        self.lists, self.seen, self.dice, self.lock = defaultdict(dict), set(), dice, Lock()
        self.flights, self.newest, self.served = defaultdict(list), defaultdict(int), Counter()
        self.overlaps, self.late = [], []

    def __call__(self, told):
        sync, _, run, _, _ = told["id"].rsplit("-", 4)
        flight = (int(run), told["path"])
        with self.lock:
            self.begins(sync, *flight)
            fate = self.dice.random() if self.dice else 1.0
        try:
            return self.answered(told, fate)
        finally:
            with self.lock, suppress(ValueError):
                self.flights[sync].remove(flight)

    def begins(self, sync, run, replica):
        self.served[replica] += 1
        self.overlaps += [(sync, run, other) for other, _ in self.flights[sync] if other != run]
        self.late += [(sync, run)] if run < self.newest[sync] else []
        self.newest[sync] = max(self.newest[sync], run)
        self.flights[sync].append((run, replica))

    def answered(self, told, fate):
        if fate < 0.06:
            return (429 if fate < 0.03 else 500), {}
        if fate < 0.08:
            raise ConnectionResetError
        if fate < 0.14:
            time.sleep(0.3)
        away = self.applied(told)
        if 0.14 <= fate < 0.16:
            raise ConnectionResetError
        return 200, {"rejected": away}

    def applied(self, told):
        """Apply a call, unless it was before; whom of it is refused."""
        upsert, members = told["verb"] == "upsert", told["members"]
        away = {each["key"]: "not now" for each in members if upsert and each["fields"]["nps"] == BAD}
        with self.lock:
            held = self.lists[told["list"]]
            for each in members if told["id"] not in self.seen else ():
                if not upsert:
                    held.pop(each["fields"]["email"], None)
                elif each["key"] not in away:
                    held[each["fields"]["email"]] = each["fields"]["nps"]
            self.seen.add(told["id"])
        return away

    def forget(self, replica):
        """Nobody waits any more for the answers to one that was killed."""
        with self.lock:
            for sync, flights in self.flights.items():
                self.flights[sync] = [each for each in flights if each[1] != replica]


class Replica:
    """One `audiences serve` in a process of its own, which calls the receiver by a path of its own."""

    numbers = count()

    def __init__(self, folder, where, began):
        self.path = f"/{next(self.numbers)}"
        url = where["WEBHOOK_URL"].rstrip("/") + self.path
        accounts = {
            f"WEBHOOK_{n}_{name}": value for n in range(ACCOUNTS) for name, value in (("URL", url), ("SECRET", SECRET))
        }
        times = {"HURRY": str(HURRY), "HURRY_FROM": str(began), "AUDIENCES_LOG_LEVEL": "warning"}
        command = [sys.executable, str(Path(__file__).with_name("hurried.py")), "serve", "--port", "0"]
        with (folder / f"log{self.path[1:]}").open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **accounts, **times},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.port = int(self.process.stdout.readline().rpartition(" ")[2])
        self.moments, self.memory, self.files = [], [], []

    def look(self):
        """Its memory in MB, and how many files it has open; its metrics go through the strict parser of OpenMetrics."""
        here = Path(f"/proc/{self.process.pid}")
        self.moments.append(time.monotonic())
        self.memory.append(int(re.search(r"VmRSS:\s+(\d+)", (here / "status").read_text())[1]) / 1024)
        self.files.append(len(list((here / "fd").iterdir())))
        asked = Request(f"http://127.0.0.1:{self.port}/metrics", headers={"accept": "application/openmetrics-text"})
        with urlopen(asked, timeout=PATIENCE) as answer:
            assert [*text_string_to_metric_families(answer.read().decode())]

    def ends(self, number):
        """Its exit code after a signal."""
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.fixture
def project(tmp_path, databases):
    """Audiences of several accounts, each due every minute, and the people whom they are about, in a PostgreSQL."""
    url = databases()
    rows(url, "create table people (id bigint, email varchar, nps integer)")
    rows(url, f"insert into people select i, 'p' || i || '@x', 1 from generate_series(1, {PEOPLE}) i")
    (tmp_path / "audiences").mkdir()
    for n in range(AUDIENCES):
        text = HEADER.replace("@daily", "* * * * *").replace('"L"', f'"L{n}"').replace("{more}", GUARD)
        text = text.replace("[sync.webhook]", f'[sync.webhook_{n % ACCOUNTS}]\n-- connector = "webhook"')
        (tmp_path / "audiences" / f"a{n}.sql").write_text(f"{text} where id % {AUDIENCES} = {n}")
    shown = url.render_as_string(hide_password=False)
    (tmp_path / ".env").write_text(f"AUDIENCES_WAREHOUSE_URL={shown}\nAUDIENCES_STATE_URL={shown}\n")
    return tmp_path, url


def changes(dice, url):
    """A few people leave, come, and have another score, or another's address."""
    here, there, new = (dice.randint(1, PEOPLE) for _ in range(3))
    rows(url, f"delete from people where id between {here} and {here + 4}")
    rows(
        url,
        f"insert into people select i, 'p' || i || '@x', 2 from generate_series({new}, {new + 4}) i"
        " where not exists (select 1 from people where id = i)",
    )
    rows(url, f"update people set nps = {dice.choice([3, 4, 5, BAD])} where id between {there} and {there + 4}")
    rows(url, f"update people set email = 'p{here}.{new}@x' where id = {new}")


def wanted(url):
    """List -> address -> score, as the queries say."""
    found = {f"L{n}": {} for n in range(AUDIENCES)}
    for id_, email, nps in rows(url, "select id, email, nps from people"):
        found[f"L{id_ % AUDIENCES}"][email] = nps
    return found


class Shift:
    """Two replicas at work; the second is killed or stopped now and then, and replaced. codes: of the stopped."""

    def __init__(self, folder, where):
        self.folder, self.where, self.began, self.dice = folder, where, time.time(), random.Random(1)
        self.replicas, self.replaced, self.codes = [], 0, set()
        self.until = time.monotonic() + LIFE
        self.hire()
        self.hire()

    def hire(self):
        self.replicas.append(Replica(self.folder, self.where, self.began))

    def weather(self, url, receiver):
        """Half a second of it."""
        changes(self.dice, url)
        for each in self.replicas:
            each.look()
        if time.monotonic() > self.until:
            self.until += LIFE
            self.replaced += 1
            self.dismiss(self.dice.choice([signal.SIGKILL, signal.SIGTERM]), receiver)
            self.hire()
        time.sleep(0.2)

    def dismiss(self, number, receiver):
        gone = self.replicas.pop()
        code = gone.ends(number)
        receiver.forget(gone.path)
        self.codes |= {code} if number == signal.SIGTERM else set()


def lasting(seconds):
    """Again and again, for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def test_it_runs_for_long_while_everything_goes_wrong(project):
    """
    Two workers share 20 audiences that are due every few seconds; calls are refused, cut, and answered late; people
    come, change and leave; a worker is killed or stopped now and then, and replaced. No two runs of a sync are ever
    under way together. Once it is quiet the lists equal the queries, and a worker that lived all the while has no more
    memory and no more files open than when it was young.
    """
    folder, url = project
    receiver = Receiver(random.Random(2))
    with answering(receiver) as where:
        shift = Shift(folder, where)
        steady, *_ = shift.replicas
        try:
            for _ in lasting(SECONDS):
                shift.weather(url, receiver)
            receiver.dice = None
            rows(url, f"update people set nps = 6 where nps = {BAD}")
            for _ in lasting(PATIENCE):
                if receiver.lists == wanted(url):
                    break
                time.sleep(0.2)
            while shift.replicas:
                shift.dismiss(signal.SIGTERM, receiver)
        finally:
            for each in (steady, *shift.replicas):
                each.process.kill()
    mine, all_ = receiver.served[steady.path], receiver.served.total()
    sys.stdout.write(f"{all_} calls, {mine} of them the steady worker's, whose memory grows {grown(steady):.1%};")
    sys.stdout.write(f" {shift.replaced} workers replaced\n")

    assert receiver.lists == wanted(url)
    assert (receiver.overlaps, receiver.late, overlapping(url)) == ([], [], 0)
    assert shift.replaced >= 2
    assert shift.codes == {0}
    assert SECONDS < mine < 0.9 * all_
    assert grown(steady) < GROWTH
    assert more_files(steady) <= MORE


def overlapping(url):
    """How many runs of a sync began before the one before had ended."""
    before = "select started, lag(ended) over (partition by sync order by started) as before from run"
    [(found,)] = rows(url, f"select count(*) from ({before}) r where started < before")
    return found


def grown(replica):
    """By what share its memory would have grown in the second half of its life, along a straight line."""
    half = len(replica.memory) // 2
    moments, memory = replica.moments[half:], replica.memory[half:]
    line = statistics.linear_regression(moments, memory)
    return line.slope * (moments[-1] - moments[0]) / memory[0]


def more_files(replica):
    """How many more files it had open at the end than in the middle, at the least of each: calls come and go.

    Of its life since the first run: an idle worker holds half as many.
    """
    files = [*dropwhile(lambda open_: open_ == replica.files[0], replica.files)]
    quarter = len(files) // 4
    return min(files[-quarter:]) - min(files[quarter : 2 * quarter])
