"""Find connectors by presence and read their accounts: a file `connectors/<name>.py` is the connector <name>."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from inspect import get_annotations
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError
from pydantic_settings import SettingsError

from audiences.connector import Connector
from audiences.errors import DefinitionError
from audiences.settings import sources, unreadable


def shipped(kind: str) -> Path:
    """The folder of what ships, `audiences` or `connectors`: packed beside this file, or at the root of a checkout."""
    packed = Path(__file__).parent / "shipped" / kind
    return packed if packed.is_dir() else Path(__file__).parents[2] / kind


def folders(project: Path) -> tuple[Path, ...]:
    """Where connectors are looked for, in order: the project's own come first, so that it can change one that ships."""
    return project / "connectors", shipped("connectors")


def names(folders: Sequence[Path]) -> tuple[str, ...]:
    """The connectors that are there, in alphabetical order."""
    return tuple(sorted({path.stem for folder in folders for path in folder.glob("[!_.]*.py")}))


def find(name: str, folders: Sequence[Path]) -> type[Connector]:
    """The connector's class, loaded once a process. Raises DefinitionError where none is there, or none that works."""
    known = names(folders)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise DefinitionError(
            f"there is no connector {name!r}" + (f"; the nearest is {near[0]!r}" if near else ""),
            do=f"use one of: {', '.join(known) or 'none yet'}; or write {folders[0] / 'NAME.py'}",
        )
    return _load(next(path for folder in folders if (path := folder / f"{name}.py").is_file()))


def settings(section: str, cls: type[Connector], project: Path) -> Connector.Settings:
    """The account of a section as it is now: an exchanged secret holds from the next run on. A relative path starts at
    the project.

    Raises DefinitionError naming each variable that is missing or invalid, never what it holds.
    """
    prefix = f"{section.upper()}_"
    try:
        # An empty variable is one that somebody forgot to fill.
        read = cls.Settings(_env_prefix=prefix, _env_ignore_empty=True, **sources(project))
    except ValidationError as error:
        raise _invalid(section, prefix, error) from None
    except SettingsError as error:
        if isinstance(error.__cause__, OSError | UnicodeDecodeError):
            raise unreadable(project, error) from None
        raise DefinitionError(
            f"a setting of {section} is not written as JSON",
            do=f"look at {', '.join(prefix + field.upper() for field in cls.Settings.model_fields)}",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(project, error) from None
    return read.model_copy(update={field: project / path for field, path in read if isinstance(path, Path)})


@cache
def _load(path: Path) -> type[Connector]:
    module = _run(path)
    own = [cls for cls in vars(module).values() if inspect.isclass(cls) and cls.__module__ == module.__name__]
    found = [cls for cls in own if issubclass(cls, Connector)]
    if len(found) != 1:
        raise DefinitionError(
            f"{path} defines {len(found)} connectors" + "".join(f", {cls.__name__}" for cls in found),
            do="define exactly one subclass of audiences.Connector in it",
        )
    return _whole(path, found[0])


def _run(path: Path) -> ModuleType:
    """The file as a module. What goes wrong inside is named by class and line: its words could hold a secret."""
    spec = importlib.util.spec_from_file_location(f"connectors.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic looks up a class's annotations by the name of its module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise DefinitionError(
            f"{path}:{_line(error, path)} cannot be loaded ({type(error).__name__})",
            do="mend that line; what it imports must be installed beside audiences",
        ) from None
    return module


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file that was running, or that could not be parsed."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return (lines or [1])[-1] or 1


def _whole(path: Path, cls: type[Connector]) -> type[Connector]:
    # What a base class names in its annotations and gives no value, its connectors have to give.
    stated = {name: str(kind) for base in cls.__mro__ for name, kind in get_annotations(base).items()}
    silent = sorted(name for name, kind in stated.items() if "ClassVar" in kind and not hasattr(cls, name))
    missing = sorted(cls.__abstractmethods__) + silent
    if missing:
        raise DefinitionError(f"{path}: {cls.__name__} has no {', '.join(missing)}", do="write what is missing")
    if cls.judges_later() and not cls.judged_within:
        raise DefinitionError(
            f"{path}: {cls.__name__} writes outcome, and not how long a job of the provider's takes at most",
            do="write judged_within = timedelta(hours=…): so long a batch whose ticket was lost may still be applied",
        )
    return cls


def _invalid(section: str, prefix: str, error: ValidationError) -> DefinitionError:
    found = [(_variable(prefix, each["loc"]), each) for each in error.errors()]
    missing = sorted(variable for variable, each in found if each["type"] == "missing")
    wrong = [
        f"{variable} {_words(each['msg'], each['input'])}" for variable, each in found if each["type"] != "missing"
    ]
    return DefinitionError(
        f"{section} is not set up: " + "; ".join([*(f"{variable} is missing" for variable in missing), *wrong]),
        do=(f"export {', '.join(missing)}" if missing else "export what is valid")
        + ", or write it in the project's .env",
    )


def _variable(prefix: str, loc: Sequence[object]) -> str:
    return f"{prefix}{str(loc[0]).upper()}" if loc else f"{prefix}…"


def _words(message: str, given: object) -> str:
    """What is wrong with a value, unless the message repeats it or a long word of it: some quote what they got."""
    values = given.values() if isinstance(given, Mapping) else (given,)
    shown = any(text in message for value in values for text in _parts(str(value)))
    return "is invalid" if shown else f"is invalid: {message.removeprefix('Value error, ')}"


def _parts(value: str) -> list[str]:
    return [*re.findall(r"\w{10,}", value), *filter(None, [value.strip()])]
