"""A connector's code outside its two verbs: what it raises stops its sync alone, in our words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from audiences import mask
from audiences.connector import Connector
from audiences.errors import AudienceError, BatchRefused, DeliveryError
from audiences.send import broken


@contextmanager
def theirs(cls: type[Connector]) -> Iterator[None]:
    """A connector's code outside its two verbs: what it raises stops its sync alone, in our words."""
    try:
        yield
    except AudienceError:
        raise
    except BatchRefused as refusal:
        said, do = mask.text(refusal.reason), "check the list, and what the provider wants of it"
        raise DeliveryError(f"the provider refuses the list: {said}", do=do) from None
    except Exception as error:
        raise broken(cls, error) from None


def flush(connector: Connector, lists: Sequence[str]) -> None:
    """Let a connector's lists show what they took in."""
    for list_id in lists:
        with theirs(type(connector)):
            connector.flush(list_id)
