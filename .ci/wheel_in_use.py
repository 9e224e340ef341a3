"""The installed wheel at work: a new project, then the same with its folder read-only. Run from an empty folder."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

from audiences.demo import receiver

HERE = Path.cwd()
PROJECT = HERE / "project"
WAREHOUSE = HERE / "warehouse.duckdb"
LISTS = HERE / "lists"
SECRET = "whsec_" + base64.b64encode(os.urandom(24)).decode()

BOTH = """\
-- /// audience
-- about    = "Customers of the first hundred numbers"
-- owner    = "owner@example.com"
-- key      = "customer_id"
-- schedule = "@daily"
--
-- [sync.file]
-- list = "First"
-- send = ["email"]
--
-- [sync.webhook]
-- list = "First"
-- send = ["email"]
-- ///
select customer_id, email from shop.customers where customer_id <= 100
"""


def audiences(*words: str, exits: int = 0, where: Path = PROJECT, **variables: str) -> None:
    """Run the installed command as a person would; end here where it exits otherwise than it should."""
    print("$ audiences", *words, flush=True)
    command = [str(Path(sys.executable).with_name("audiences")), *words]
    code = subprocess.run(command, cwd=where, env=os.environ | variables, check=False).returncode
    if code != exits:
        sys.exit(f"audiences {' '.join(words)} exits with {code}, not {exits}")


def read_only(folder: Path) -> None:
    """Take the right to write from everything in a folder, and prove that it is gone."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        (folder / "proof").touch()
    except PermissionError:
        return
    sys.exit(f"{folder} can still be written: run this as a user who is not root")


def main() -> None:
    """Each command once; then both destinations hold the list."""
    audiences("--version", where=HERE)
    audiences("init", "project", where=HERE)
    audiences("check")
    (PROJECT / "warehouse.duckdb").rename(WAREHOUSE)
    (PROJECT / "audiences" / "both.sql").write_text(BOTH)
    read_only(PROJECT)
    with receiver.receiving(SECRET) as inbox:
        elsewhere = {
            "AUDIENCES_WAREHOUSE_URL": f"duckdb:///{WAREHOUSE}",
            "XDG_STATE_HOME": str(HERE / "state"),
            "FILE_FOLDER": str(LISTS),
            "WEBHOOK_URL": inbox.url,
            "WEBHOOK_SECRET": SECRET,
            "AUDIENCES_LOG_LEVEL": "warning",
        }
        audiences("check", **elsewhere)
        audiences("plan", **elsewhere)
        audiences("sync", "--all", **elsewhere)
        audiences("plan", "--exit-code", **elsewhere)  # nothing is left to do
        audiences("status", **elsewhere)
        delivered = len(inbox.lists["First"])
    written = len((LISTS / "First.csv").read_text().splitlines()) - 1
    if (delivered, written) != (100, 100):
        sys.exit(f"the receiver holds {delivered} and the file {written} of 100 members")
    print("The wheel works in a project that may not be written.")


main()
