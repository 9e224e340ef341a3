"""Which commit of git a file is of, so that a run can say what it ran."""

from __future__ import annotations

import subprocess
from pathlib import Path

ASK = ("git", "status", "--porcelain=v2", "--branch", "--ignored", "--untracked-files=all", "--")
OID = "# branch.oid "
PATIENCE = 10.0  # seconds


def of(path: Path) -> str | None:
    """The commit that is checked out around a file, with `-dirty` where the file is not as in it; None without one.

    None also where there is no git, or where git does not trust the folder's owner.
    https://git-scm.com/docs/git-status#_porcelain_format_version_2 (read 2026-11)
    """
    where = path.resolve()
    if not any((parent / ".git").exists() for parent in where.parents):
        return None  # the most frequent answer in a container, and git need not be asked
    try:
        said = subprocess.run(
            [*ASK, str(where)], cwd=where.parent, capture_output=True, text=True, check=True, timeout=PATIENCE
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    commit = next((line.removeprefix(OID) for line in said if line.startswith(OID)), "(initial)")
    if commit == "(initial)":
        return None
    return commit + ("" if all(line.startswith("#") for line in said) else "-dirty")
