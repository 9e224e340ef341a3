"""Tests of existence as joins, for an engine that takes them in few places only.

`exists (select 1 from b where b.k = a.k and b.n)` is whether a row of `a left join (select distinct k from b where n)`
has found one; what does not look at the row outside is counted once. A value that is NULL is in no list, and not in no
list either: our statements ask so only where that is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlglot import exp


def joined(tree: exp.Expr) -> exp.Expr:
    """The same statement, in which a SELECT joins what it asked for. A test that is tied to the row outside by more
    than equality, or one difference, stays as it is.
    """
    numbers = count(1)
    for select in reversed([*tree.find_all(exp.Select)]):  # the inner ones first
        for test in _tests(select):
            found = [*_exists(test.this)] if isinstance(test, exp.Exists) else [_contained(test)]
            if all(each.joins() for each in found):
                _unmix(select)
                there = [_join(select, each, f"_{next(numbers)}") for each in found]
                test.replace(exp.paren(exp.or_(*there)))
    return tree


def _tests(select: exp.Select) -> list[Any]:
    """The tests of existence that a SELECT itself makes."""
    found = [each for each in select.find_all(exp.Exists, exp.In) if isinstance(each, exp.Exists) or _query(each)]
    return [each for each in found if each.parent_select is select]


def _query(test: Any) -> Any:
    """What an IN looks into; None for a list of values."""
    found = test.args.get("query")
    return found and found.unnest()


@dataclass(slots=True)
class Looked:
    """What a test looks through.

    rows:    the query, without what ties it to the row outside
    own:     conditions on its rows alone
    outside: conditions on the row outside alone
    tied:    comparisons of an expression of its rows with one of the row outside
    else_:   what else there is
    """

    rows: exp.Select
    own: list[exp.Expr] = field(default_factory=list)
    outside: list[exp.Expr] = field(default_factory=list)
    tied: list[tuple[type[exp.Expr], exp.Expr, exp.Expr]] = field(default_factory=list)
    else_: list[exp.Expr] = field(default_factory=list)

    def joins(self) -> bool:
        """Whether a join finds each row outside at most one of these, and tells whether it has."""
        ties = [kind for kind, *_ in self.tied]
        tells = exp.EQ in ties or not (ties or self.outside)
        return tells and ties.count(exp.NEQ) < 2 and not self.else_


def _join(select: exp.Select, found: Looked, name: str) -> exp.Expr:
    """Join what is looked through; the condition that there was something."""
    keys = [(kind, mine, other) for kind, mine, other in found.tied if kind is not exp.NEQ]
    keys.sort(key=lambda key: key[0] is not exp.EQ)  # the first tells by NULL whether a row was found
    columns: list[exp.Expr] = [exp.alias_(mine.copy(), f"{name}k{n}") for n, (_, mine, _) in enumerate(keys)]
    on = [
        kind(this=exp.column(f"{name}k{n}", name), expression=other.copy()) for n, (kind, _, other) in enumerate(keys)
    ]
    rows = found.rows.copy()
    if others := [(mine, other) for kind, mine, other in found.tied if kind is exp.NEQ]:
        [(mine, other)] = others  # one differs where the least does, or the greatest
        rows = rows.group_by(*(mine.copy() for _, mine, _ in keys))
        ends = {f"{name}lo": exp.Min(this=mine.copy()), f"{name}hi": exp.Max(this=mine.copy())}
        columns += [exp.alias_(end, alias) for alias, end in ends.items()]
        on.append(exp.paren(exp.or_(*(exp.column(end, name).neq(other.copy()) for end in ends))))
    rows = rows.where(*found.own) if found.own else rows
    rows.set("expressions", columns or [exp.alias_(exp.Count(this=exp.Star()), f"{name}n")])
    inside = (rows.distinct() if keys and not others else rows).subquery(name)
    if not select.args.get("from_"):
        select.from_(inside, copy=False)
    elif keys:
        select.join(inside, on=exp.and_(*on, *(each.copy() for each in found.outside)), join_type="left", copy=False)
    else:
        select.join(inside, join_type="cross", copy=False)
    return exp.column(f"{name}k0", name).is_(exp.null()).not_() if keys else exp.column(f"{name}n", name) > 0


def _contained(test: exp.In) -> Looked:
    """An IN asks for the only column of its query, which looks at no row outside."""
    inner = _query(test)
    column = exp.column(exp.to_identifier(inner.selects[0].alias_or_name, quoted=True), "q")
    return Looked(exp.select().from_(inner.subquery("q")), tied=[(exp.EQ, column, test.this)])


def _exists(inner: Any) -> Iterator[Looked]:
    """What an EXISTS looks through: in several pieces, one of which has to have a row, where a condition says `or`."""
    where = inner.args.get("where")
    rows = inner.copy()
    rows.set("where", None)
    conditions = _flat(where.this, exp.And) if where else []
    for each in _pieces(conditions, _Names(inner, conditions)):
        found = Looked(rows)
        for condition in each:
            _sorted(condition, found, _Names(inner, conditions))
        yield found


def _flat(condition: exp.Expr, kind: type[exp.Connector]) -> list[exp.Expr]:
    return [each.unnest() for each in condition.flatten()] if isinstance(condition, kind) else [condition.unnest()]


def _pieces(conditions: Sequence[exp.Expr], names: _Names) -> Iterator[Sequence[exp.Expr]]:
    """Conditions without an `or` between the rows inside and the one outside."""
    mixed = next((each for each in conditions if isinstance(each, exp.Or) and len(names.whose(each)) > 1), None)
    if mixed is None:
        yield conditions
        return
    for branch in _flat(mixed, exp.Or):
        yield from _pieces([each for each in conditions if each is not mixed] + _flat(branch, exp.And), names)


class _Names:
    """Whose a column of an inner query's condition is: its own, or of the row outside.

    A column without a table's name is the inner query's own, unless others of its conditions have such a name.
    """

    def __init__(self, inner: exp.Select, conditions: Sequence[exp.Expr]):
        self.own = {each.alias_or_name for each in _sources(inner)}
        self.bare = not any(each.table in self.own for one in conditions for each in one.find_all(exp.Column))

    def whose(self, expression: exp.Expr) -> set[bool]:
        """Whether its columns are the inner query's own: both, where it has some of each."""
        columns = expression.find_all(exp.Column)
        return {each.table in self.own if each.table else self.bare for each in columns}


def _sorted(condition: Any, found: Looked, names: _Names) -> None:
    """Add a condition to those of its kind."""
    whose = names.whose(condition)
    if len(whose) < 2:
        (found.outside if whose == {False} else found.own).append(condition)
        return
    sides = [condition.this, condition.expression] if isinstance(condition, exp.EQ | exp.NEQ | exp.NullSafeEQ) else []
    match [[*names.whose(side)] for side in sides]:
        case [[True], [False]]:
            found.tied.append((type(condition), sides[0], sides[1]))
        case [[False], [True]]:
            found.tied.append((type(condition), sides[1], sides[0]))
        case _:
            found.else_.append(condition)


def _sources(select: exp.Select) -> list[Any]:
    asked = select.args.get("from_")
    return [*([asked.this] if asked else ()), *(each.this for each in select.args.get("joins") or ())]


def _unmix(select: exp.Select) -> None:
    """Let no column of what is joined be among `*`, and each table stand in a join that those behind it can name."""
    names = [each.alias_or_name for each in _sources(select)]
    stars = [exp.column(exp.Star(), exp.to_identifier(name, quoted=True)) for name in names]
    select.set("expressions", [s for e in select.expressions for s in (stars if isinstance(e, exp.Star) else [e])])
    for join in select.args.get("joins") or ():
        if not (join.side or join.kind or join.args.get("on")):
            join.set("kind", "CROSS")


def named(tree: exp.Expr) -> exp.Expr:
    """Each query in a FROM has a name."""
    numbers = count(1)
    for query in tree.find_all(exp.Subquery):
        if isinstance(query.parent, exp.From | exp.Join) and not query.alias:
            query.set("alias", exp.TableAlias(this=exp.to_identifier(f"q{next(numbers)}")))
    return tree
