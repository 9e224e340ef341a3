"""A new project: what `audiences init` writes, so that the next command already works."""

from __future__ import annotations

from pathlib import Path

from audiences.connectors import shipped
from audiences.demo import warehouse
from audiences.errors import DefinitionError

WAREHOUSE = "warehouse.duckdb"
STARTERS = ("lapsed_buyers.sql", "promoters.sql")  # both go to files: nothing to sign up for

ENV = f"""\
# Read by every command in this folder; the environment wins over it. Secrets belong here or there, never in git.
AUDIENCES_WAREHOUSE_URL=duckdb:///{WAREHOUSE}
FILE_FOLDER=lists
"""

IGNORED = f"""\
.env
{WAREHOUSE}*
lists/
"""

README = f"""\
# Lists from SQL

    audiences check       # reads every file in audiences/, sends nothing
    audiences plan        # what would change; sends nothing
    audiences sync --all  # sends it: look into lists/

`{WAREHOUSE}` holds real purchases and simulated answers, to try things out; your own goes into `.env`.
"""

CONNECTORS = """\
A file here is a connector: `mailbox.py` is what `[sync.mailbox]` means. It is code that runs with the worker's secrets.
"""


def write(folder: Path) -> list[Path]:
    """Make a project that works at once, and say which files it has, in the order to read them.

    Raises DefinitionError before anything is written where one of them is there already: nothing is overwritten.
    """
    texts = {
        "README.md": README,
        **{f"audiences/{name}": (shipped("audiences") / name).read_text("utf-8") for name in STARTERS},
        "connectors/README.md": CONNECTORS,
        ".env": ENV,
        ".gitignore": IGNORED,
    }
    paths = [folder / name for name in (*texts, WAREHOUSE)]
    if taken := [path for path in paths if path.exists()]:
        raise DefinitionError(f"{taken[0]} exists already", do="choose a new folder; nothing was written")
    try:
        for path, text in zip(paths, texts.values(), strict=False):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        raise DefinitionError(f"{folder} cannot be written: {error.strerror}", do="choose another folder") from None
    warehouse.build(folder / WAREHOUSE, warehouse.today())
    return paths
