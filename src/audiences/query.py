"""See that the SQL below a header is one SELECT that only reads, before any warehouse sees it.

The warehouse gets the text as written, not sqlglot's reading of it: where the two could read a comment or a name
differently, the text is refused.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect, NormalizationStrategy
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.scope import traverse_scope
from sqlglot.tokenizer_core import Token, TokenType

from audiences import denied
from audiences.errors import DefinitionError
from audiences.place import Place

# sqlglot logs the SQL that it does not know, and a query may hold a person.
logging.getLogger("sqlglot").disabled = True

ONE_SELECT = "write one SELECT that only reads; it may start with WITH"
_STARTS = {TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN, TokenType.FROM}
_STATEMENTS = (
    exp.DDL, exp.DML, exp.Drop, exp.Alter, exp.Command, exp.Copy, exp.Describe, exp.Pragma, exp.Set,
    exp.QueryTransform, exp.NextValueFor,
)  # fmt: skip

# What runs in MySQL and MariaDB (`/*! … */`) or is no comment anywhere (`{# … #}`), sqlglot skips as a comment.
_NO_COMMENT = re.compile(r"/\*M?!|\{#")

# Engines that read a file where a table's name looks like one: from 'a.csv', from raw.csv, from csv.`/a`.
_PATHS = {"duckdb", "spark", "databricks"}
_PATH = re.compile(
    r"[/\\:*?]|\.(csv|tsv|txt|parquet|jsonl?|ndjson|xlsx|avro|arrows?|feather|orc|db|duckdb|sqlite3?|shp|gpkg|geojson|lance)(\.(gz|zst|bz2))?$",
    re.IGNORECASE,
)

_MANY_COLUMNS = (exp.Star, exp.Columns, exp.Explode, exp.Unnest, exp.Inline)


def checked(sql: str, dialect: str, where: Place) -> str:
    """The query without what follows its last word: a semicolon, a comment. It can be put in parentheses.

    dialect: sqlglot's name of the warehouse's SQL; where: the line on which `sql` starts.
    Raises DefinitionError for anything but one SELECT that only reads.
    """
    last = _one(_words(sql, dialect, where), where)[-1]
    text = sql[: last.end + 1]
    words = _words(text, dialect, where)  # again: a text cut short may read otherwise, and this one is returned
    _plain(text, words, where)
    _calls(words, dialect, where)
    tree = _tree(text, words, dialect, where)
    _reads(tree, where)
    _locks(tree, words, where)
    _tables(tree, dialect, where)
    return text.strip()


def output_names(sql: str, dialect: str) -> tuple[str, ...] | None:
    """The columns that a checked query returns, as SQLAlchemy writes them; None where only the warehouse can tell."""
    query = sqlglot.parse_one(sql, dialect=dialect)
    while isinstance(query, (exp.Subquery, exp.SetOperation)):
        if query.args.get("by_name"):
            return None
        query = query.this
    if query.args.get("kind"):  # BigQuery's SELECT AS STRUCT
        return None
    names = [_output(column, dialect) for column in query.expressions]
    return tuple(name for name in names if name) if all(names) else None


def tables(sql: str, dialect: str) -> set[tuple[str, ...]]:
    """The tables that a checked query names, each as the parts of its name; what its own WITH names is none."""
    scopes = traverse_scope(sqlglot.parse_one(sql, dialect=dialect))
    found = (source for scope in scopes for source in scope.sources.values() if isinstance(source, exp.Table))
    return {tuple(part.name for part in table.parts) for table in found}


def _output(column: exp.Expr, dialect: str) -> str | None:
    """A column without a name of its own is named by the engine, each in its own way."""
    if column.is_star or not isinstance(column, (exp.Column, exp.Alias)) or isinstance(column.this, _MANY_COLUMNS):
        return None
    name = column.args["alias"] if isinstance(column, exp.Alias) else column.this
    # These engines change the case of a name without quotes; SQLAlchemy shows it in lower case.
    folds = {NormalizationStrategy.LOWERCASE, NormalizationStrategy.UPPERCASE}
    plain = not name.args.get("quoted")
    return str(
        name.name.lower() if plain and Dialect.get_or_raise(dialect).normalization_strategy in folds else name.name
    )


def _words(sql: str, dialect: str, where: Place) -> list[Token]:
    try:
        words = sqlglot.tokenize(sql, read=dialect)
    except SqlglotError:
        raise DefinitionError(
            f"{where} or a line below opens a quote or comment that nothing closes", do="close it"
        ) from None
    if all(word.token_type is TokenType.SEMICOLON for word in words):
        raise DefinitionError(f"{where} has no query below the header", do=ONE_SELECT)
    return words


def _plain(text: str, words: Sequence[Token], where: Place) -> None:
    """Refuse what an engine may read otherwise than sqlglot does: a comment that runs, a name in escapes."""
    ends = [-1, *(word.end for word in words)]
    starts = [*(word.start for word in words), len(text)]
    for end, start in zip(ends, starts, strict=True):
        if found := _NO_COMMENT.search(text, end + 1, start):
            place = where.below(text.count("\n", 0, found.start()))
            raise DefinitionError(
                f"{place} opens {found[0]!r}, which is no comment to every engine",
                do="write plain comments: -- like this",
            )
    for word in words:
        if word.token_type is TokenType.AMP and text[word.start - 1 : word.start + 2].lower() == 'u&"':
            raise DefinitionError(f"{_at(word, where)} writes a name in escapes", do='write it plainly: "name"')


def _one(words: Sequence[Token], where: Place) -> list[Token]:
    """The words of the first statement, which is the only one."""
    ends = [number for number, word in enumerate(words) if word.token_type is TokenType.SEMICOLON]
    end = ends[0] if ends else len(words)
    for word in words[end:]:
        if word.token_type is not TokenType.SEMICOLON:
            raise DefinitionError(f"{_at(word, where)} starts a second statement", do=ONE_SELECT)
    if not end or words[0].token_type not in _STARTS:
        raise DefinitionError(
            f"{_at(words[0], where)} starts with {words[0].text.upper()[:20]!r}, which is no SELECT", do=ONE_SELECT
        )
    return list(words[:end])


def _calls(words: Sequence[Token], dialect: str, where: Place) -> None:
    """By words and not by the tree: a call is seen however sqlglot names it, with its schema, quoted, or as a table."""
    for word, following in pairwise(words):
        called = word if following.token_type is TokenType.L_PAREN else None
        if word.token_type is TokenType.DOT and following.text.lower() == "nextval":  # Snowflake's way: seq.nextval
            called = following
        if called and (deed := denied.call(dialect, called.text)):
            raise DefinitionError(
                f"{_at(called, where)} calls {called.text}, which {deed}",
                do="leave the call out: an audience only reads tables",
            )


def _tree(text: str, words: Sequence[Token], dialect: str, where: Place) -> exp.Expr:
    try:
        (tree,) = Dialect.get_or_raise(dialect).parser().parse(list(words), text)
    except RecursionError:
        raise DefinitionError(
            f"{where} starts a query that is nested too deeply", do="write it in steps, using WITH"
        ) from None
    except Exception as error:  # sqlglot's own, and ValueError or IndexError where it is surprised
        _into(words, where)
        raise _unread(error, dialect, where) from None
    if not isinstance(tree, exp.Query) or not isinstance(tree.unnest(), (exp.Select, exp.SetOperation)):
        what = tree.key.upper() if tree else "nothing"
        raise DefinitionError(f"{where} holds {what}, which is no SELECT", do=ONE_SELECT)
    if tree.find(exp.Into):
        _into(words, where)
    return tree


def _unread(error: Exception, dialect: str, where: Place) -> DefinitionError:
    """Where the parser stopped; not its own words, for they quote the query."""
    found = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    place = where.below(int(found.get("line") or 1) - 1)
    column = f" near column {found['col']}" if found.get("col") else ""
    return DefinitionError(f"{place} cannot be read as {dialect}{column}", do=f"mend it there: {ONE_SELECT}")


def _into(words: Sequence[Token], where: Place) -> None:
    for word in words:
        if word.token_type is TokenType.INTO:
            raise DefinitionError(f"{_at(word, where)} writes, with INTO", do="leave INTO out: an audience only reads")


def _reads(tree: exp.Expr, where: Place) -> None:
    for found in tree.find_all(*_STATEMENTS):
        raise DefinitionError(
            f"{_of(found, where)} holds {found.key.upper()}, which does more than read", do=ONE_SELECT
        )


def _locks(tree: exp.Expr, words: Sequence[Token], where: Place) -> None:
    hints = (str(hint).upper() for found in tree.find_all(exp.WithTableHint) for hint in found.expressions)
    if tree.find(exp.Lock) or any("LOCK" in hint and hint != "NOLOCK" for hint in hints):
        words = [word for word in words if word.token_type in {TokenType.FOR, TokenType.LOCK}] or words[:1]
        raise DefinitionError(
            f"{_at(words[-1], where)} locks the rows that it reads", do="leave FOR UPDATE, FOR SHARE and lock hints out"
        )


def _tables(tree: exp.Expr, dialect: str, where: Place) -> None:
    for table in tree.find_all(exp.Table):
        name = ".".join(part.name for part in table.parts)
        staged = name.startswith("@")
        if staged or (dialect in _PATHS and not isinstance(table.this, exp.Func) and _PATH.search(name)):
            raise DefinitionError(
                f"{_of(table, where)} reads the file {json.dumps(name)}", do="load it into a table, and read that"
            )


def _at(word: Token, where: Place) -> Place:
    return where.below(word.line - 1)


def _of(node: exp.Expr, where: Place) -> Place:
    lines = [found.meta["line"] for found in node.walk() if "line" in found.meta]
    return where.below(min(lines, default=1) - 1)
