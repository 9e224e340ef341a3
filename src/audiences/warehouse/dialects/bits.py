"""Conditions and values apart, for an engine that has no boolean values: T-SQL.

What is true or false where a value stands becomes a bit, or NULL where it is not known; a bit where a condition stands
is compared.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

CONDITIONS = exp.Predicate, exp.Connector, exp.Not
KNOWN = exp.Exists, exp.NullSafeEQ, exp.NullSafeNEQ


def bits(tree: exp.Expr) -> exp.Expr:
    """The same statement, with a condition wherever one must stand, and a bit wherever a value must."""
    for test in reversed([*tree.find_all(exp.Is)]):  # what is inside comes first
        if isinstance(test.expression, exp.Boolean):
            test.replace(_told(test))
    for node in reversed([*tree.walk()]):
        if node.parent and not isinstance(node, exp.Paren) and not isinstance(node.parent, exp.Update):
            node.replace(_placed(node))
    return tree


def _told(test: Any) -> exp.Expr:
    """Whether what may be unknown is true, or false."""
    asked = test.this.copy()
    return exp.case().when(asked if test.expression.this else exp.paren(asked).not_(), 1).else_(0).eq(1)


def _placed(node: Any) -> exp.Expr:
    """What stands in the place of a node. One that is fine is itself."""
    condition = isinstance(node, CONDITIONS)
    if _decides(node):
        return node if condition else _held(node)
    if isinstance(node, exp.Boolean):
        return exp.cast(exp.Literal.number(int(node.this)), exp.DType.BOOLEAN)
    return _bit(node) if condition else node


def _decides(node: Any) -> bool:
    """Whether a condition must stand where a node does."""
    place, parent = node, node.parent
    while isinstance(parent, exp.Paren):
        place, parent = parent, parent.parent
    if isinstance(parent, exp.If):
        return place is parent.this and not (isinstance(parent.parent, exp.Case) and parent.parent.this)
    if isinstance(parent, exp.Join):
        return place is parent.args.get("on")
    return isinstance(parent, exp.Connector | exp.Not | exp.Where | exp.Having)


def _held(value: exp.Expr) -> exp.Expr:
    """A value as a condition."""
    if isinstance(value, exp.Boolean):
        return exp.Literal.number(1).eq(int(value.this))
    return value.copy().eq(1)


def _bit(condition: exp.Expr) -> exp.Expr:
    """A condition as a value."""
    found = exp.case().when(condition.copy(), 1)
    if not _known(condition):
        found = found.when(exp.paren(condition.copy()).not_(), 0)
        return exp.cast(found, exp.DType.BOOLEAN)
    return exp.cast(found.else_(0), exp.DType.BOOLEAN)


def _known(condition: Any) -> bool:
    """Whether a condition is true or false, whatever is NULL."""
    inner = condition.unnest()
    if isinstance(inner, exp.Connector):
        return _known(inner.this) and _known(inner.expression)
    if isinstance(inner, exp.Not):
        return _known(inner.this)
    return isinstance(inner, KNOWN) or (isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null))
