"""Keep lists in other people's systems equal to what SQL files in git say.

The face of the package: all that a connector needs. Each name is loaded when it is asked for, because the command line
imports the package too, and the libraries behind these names cost it half a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audiences.chosen import Chosen
    from audiences.connector import Category, Connector, Limits, Null, Proof
    from audiences.errors import AudienceError, BatchRefused, DefinitionError, DeliveryError, Unanswered
    from audiences.hashed import Hashed, Identified, Kind
    from audiences.http.grants import ClientCredentials, RefreshToken, ServiceAccount
    from audiences.http.oauth1 import OAuth1
    from audiences.identity import Form, ident_sql
    from audiences.journal import Journal, supplant
    from audiences.member import Member, Receipt, written
    from audiences.property import ByProperty, Change, Mark
    from audiences.signature import signed, signing_key
    from audiences.sobjects import SObjects
    from audiences.tracking import ByIdentify

__all__ = [
    "AudienceError",
    "BatchRefused",
    "ByIdentify",
    "ByProperty",
    "Category",
    "Change",
    "Chosen",
    "ClientCredentials",
    "Connector",
    "DefinitionError",
    "DeliveryError",
    "Form",
    "Hashed",
    "Identified",
    "Journal",
    "Kind",
    "Limits",
    "Mark",
    "Member",
    "Null",
    "OAuth1",
    "Proof",
    "Receipt",
    "RefreshToken",
    "SObjects",
    "ServiceAccount",
    "Unanswered",
    "ident_sql",
    "signed",
    "signing_key",
    "supplant",
    "written",
]

_ROOMS = {
    "chosen": ("Chosen",),
    "connector": ("Category", "Connector", "Limits", "Null", "Proof"),
    "errors": ("AudienceError", "BatchRefused", "DefinitionError", "DeliveryError", "Unanswered"),
    "hashed": ("Hashed", "Identified", "Kind"),
    "http.grants": ("ClientCredentials", "RefreshToken", "ServiceAccount"),
    "http.oauth1": ("OAuth1",),
    "identity": ("Form", "ident_sql"),
    "journal": ("Journal", "supplant"),
    "member": ("Member", "Receipt", "written"),
    "property": ("ByProperty", "Change", "Mark"),
    "signature": ("signed", "signing_key"),
    "sobjects": ("SObjects",),
    "tracking": ("ByIdentify",),
}


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"audiences.{room}"), name)
    raise AttributeError(f"module 'audiences' has no attribute {name!r}")
