"""Lists in an object store: what the connector `file` puts there, and what becomes of a run where it cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from audiences import DefinitionError, DeliveryError, Member, connectors
from audiences.store import publish
from test_every_connector import ROOTS

NAME = "NPS détracteurs [2026] 50%, #1?"


class Bucket:
    """The part of S3 that an upload needs: a PUT takes the object's place. status: what it answers instead"""

    def __init__(self):
        self.objects, self.signed, self.status = {}, [], 200
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                bucket.signed.append(self.headers["authorization"])
                if bucket.status == 200:
                    bucket.objects[self.path] = body.decode()
                self.send_response(bucket.status)
                self.send_header("etag", '"1"')
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()


@pytest.fixture
def bucket(monkeypatch) -> Iterator[Bucket]:
    made = Bucket()
    for variable in [each for each in os.environ if each.upper().startswith(("AWS_", "HTTP_PROXY", "NO_PROXY"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.server.server_port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "worker")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-key")
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def file(tmp_path):
    """The connector, with a store."""
    cls = connectors.find("file", [ROOTS[0] / "connectors"])
    account = cls.Settings(folder=tmp_path / "lists", store_url="s3://acme/lists")
    return cls(account, cls.Options(), None, ("email",), "shop-l-1")


def people(*names):
    return [Member(each, {"email": f"{each}@example.com"}) for each in names]


def test_the_store_has_each_list_whole(bucket, file):
    """
    From the moment that the list is made, and after each flush, under its own name; signed by the cloud's variables.
    """
    listed = file.prepare(NAME)
    [(path, text)] = bucket.objects.items()
    assert path == "/acme/lists/NPS%20d%C3%A9tracteurs%20%5B2026%5D%2050%25%2C%20%231%3F.csv"
    assert text == "key\n"

    file.upsert(listed, people("k1", "k2"))
    assert [*bucket.objects.values()] == ["key\n"]
    file.flush(listed)
    assert bucket.objects[path] == "key,email\nk1,k1@example.com\nk2,k2@example.com\n"
    file.remove(listed, people("k1"))
    file.flush(listed)
    assert bucket.objects == {path: "key,email\nk2,k2@example.com\n"}
    assert all(each.startswith("AWS4-HMAC-SHA256 Credential=worker/") for each in bucket.signed)


def test_nothing_new_is_put_nowhere(bucket, file):
    """
    A flush without changes leaves the store alone.
    """
    listed = file.prepare("L")
    file.flush(listed)

    assert len(bucket.signed) == 1


def test_what_the_store_refuses_it_gets_in_the_next_run(bucket, file):
    """
    The sync stops with the way out and shows no key; what was accepted waits in the journal, and is put there later.
    """
    listed = file.prepare("L")
    file.upsert(listed, people("k1"))
    bucket.status = 403

    with pytest.raises(DeliveryError, match=r"does not take L\.csv(?s:.*)cloud's variables") as said:
        file.flush(listed)
    assert "worker" not in str(said.value)
    assert said.value.__cause__ is said.value.__context__ is None
    bucket.status = 200
    file.flush(listed)
    assert [*bucket.objects.values()] == ["key,email\nk1,k1@example.com\n"]


@pytest.mark.parametrize("url", ["acme/lists", "https://acme.example.com/lists", "file:///lists", "memory:///"])
def test_a_store_that_is_none_is_said(tmp_path, url):
    """
    With the three ways to write one; a disk is FILE_FOLDER's.
    """
    with pytest.raises(DefinitionError, match="write s3://"):
        publish(tmp_path, url)


def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch):
    """
    Object stores come with an extra.
    """
    monkeypatch.setattr("audiences.store.find_spec", lambda name: None)

    with pytest.raises(DefinitionError, match=r"pip install 'audiences\[stores\]'"):
        publish(tmp_path, "s3://acme")


@pytest.mark.parametrize("url", ["gs://acme/lists", "az://acme/lists"])
def test_other_clouds_are_asked_with_their_own_variables(tmp_path, monkeypatch, url):
    """
    Without a key that is one, neither is spoken to: the sync stops, and the path of the key is not shown.
    """
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "not-a-real-place.json"))
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)

    with pytest.raises(DeliveryError, match=r"does not take list\.csv") as said:
        publish(tmp_path / "list.csv", url)
    assert "not-a-real-place" not in str(said.value)
