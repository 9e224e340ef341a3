"""The commit of a definition: what is checked out around its file, and whether the file is as in it."""

from __future__ import annotations

import subprocess

import pytest

from audiences import revision

AS = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")


@pytest.fixture
def git(tmp_path):
    """A repository with a file in it; runs git there."""

    def run(*words):
        command = ["git", *AS, "-c", "commit.gpgsign=false", *words]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    run("init", "--quiet")
    (tmp_path / "audiences").mkdir()
    (tmp_path / "audiences" / "team.sql").write_text("select 1")
    return run


@pytest.fixture
def committed(git, tmp_path):
    git("add", "audiences")
    git("commit", "--quiet", "--message=x")
    return git("rev-parse", "HEAD")


def test_a_file_is_of_the_commit_that_is_checked_out(committed, git, tmp_path):
    """
    The commit is the newest that is checked out, whichever file it changed; another file that differs is no concern.
    """
    path = tmp_path / "audiences" / "team.sql"
    (tmp_path / "notes").write_text("not committed")
    assert revision.of(path) == committed
    git("commit", "--quiet", "--allow-empty", "--message=y")

    assert revision.of(path) == git("rev-parse", "HEAD") != committed


@pytest.mark.parametrize("how", ["changed", "staged", "untracked", "ignored"])
def test_a_file_that_is_not_as_committed_is_dirty(committed, git, tmp_path, how):
    """
    Changed, staged, new or ignored: the commit alone would not bring back what ran, and says so.
    """
    path = tmp_path / "audiences" / ("team.sql" if how in ("changed", "staged") else "new.sql")
    path.write_text("select 2")
    if how == "staged":
        git("add", str(path))
    if how == "ignored":
        (tmp_path / ".gitignore").write_text("new.sql\n")

    assert revision.of(path) == f"{committed}-dirty"


def test_without_a_commit_there_is_none(git, tmp_path):
    """
    A repository without a commit, and git that cannot be asked, are no error.
    """
    assert revision.of(tmp_path / "audiences" / "team.sql") is None


def test_without_git_there_is_none(committed, tmp_path, monkeypatch):
    """
    Where there is no git, as in a slim image, or it fails, the run is of no known commit.
    """
    monkeypatch.setenv("PATH", "/nowhere")
    assert revision.of(tmp_path / "audiences" / "team.sql") is None
    monkeypatch.undo()
    (tmp_path / ".git" / "HEAD").unlink()

    assert revision.of(tmp_path / "audiences" / "team.sql") is None


def test_without_a_repository_git_is_not_asked(tmp_path, monkeypatch):
    """
    A folder that is in no repository costs no process.
    """
    monkeypatch.setattr(subprocess, "run", None)

    assert revision.of(tmp_path / "team.sql") is None
