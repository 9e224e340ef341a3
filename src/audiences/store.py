"""Finished files in an object store: Amazon S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

A file on the disk comes in; afterwards the store has the whole of it, or what it had before. It knows no list.
"""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from audiences.errors import DefinitionError, DeliveryError

SCHEMES = ("s3://", "gs://", "az://")
PATIENCE = timedelta(seconds=30)  # for all attempts at a call


def publish(file: Path, url: str) -> None:
    """Let a file take the place of the object of its name below a store's URL: at once, as a store's PUT does.

    Credentials are the cloud's usual variables. Raises DefinitionError or DeliveryError, without the store's own words:
    they may hold the account's.
    https://developmentseed.org/obstore/latest/getting-started/, …/authentication/ (read 2026-11)
    """
    if not url.startswith(SCHEMES):
        ways = "write s3://bucket/folder, gs://bucket/folder or az://container/folder"
        raise DefinitionError("the URL of the object store is none that is known", do=ways)
    if find_spec("obstore") is None:
        raise DefinitionError("object stores need a library", do="pip install 'audiences[stores]'")
    import obstore  # 15 MB that only a store needs
    from obstore.exceptions import BaseError

    try:
        # No client_options: with them the library reads none of the variables for its client, such as AWS_ALLOW_HTTP.
        store = obstore.store.from_url(url, retry_config={"max_retries": 3, "retry_timeout": PATIENCE})
        obstore.put(store, file.name, file)
    except BaseError as error:
        kind = type(error).__name__
    else:
        return
    raise DeliveryError(
        f"the object store does not take {file.name} ({kind})",
        do="look at its URL, and whether the cloud's variables name an account that may write there; then run again",
    )
