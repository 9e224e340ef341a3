"""Keep lists in other people's systems equal to what SQL files in git say.

The face of the package: all that a connector needs. Each name is loaded when it is asked for, because the command line
imports the package too, and the libraries behind these names cost it half a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audiences.connector import Chosen, Connector, Limits
    from audiences.errors import BatchRefused, DefinitionError, DeliveryError, Unanswered
    from audiences.identity import Form, ident_sql
    from audiences.journal import Journal, supplant
    from audiences.member import Member, Receipt

__all__ = [
    "BatchRefused",
    "Chosen",
    "Connector",
    "DefinitionError",
    "DeliveryError",
    "Form",
    "Journal",
    "Limits",
    "Member",
    "Receipt",
    "Unanswered",
    "ident_sql",
    "supplant",
]

_ROOMS = {
    "connector": ("Chosen", "Connector", "Limits"),
    "errors": ("BatchRefused", "DefinitionError", "DeliveryError", "Unanswered"),
    "identity": ("Form", "ident_sql"),
    "journal": ("Journal", "supplant"),
    "member": ("Member", "Receipt"),
}


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"audiences.{room}"), name)
    raise AttributeError(f"module 'audiences' has no attribute {name!r}")
