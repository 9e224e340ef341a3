"""Every error a person can meet, each with the way out. None names a person or shows a secret."""

from typing import ClassVar


class AudienceError(Exception):
    """What happened, in one sentence; then what to do about it, in one."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, do: str):
        super().__init__(f"{what}\n  do: {do}")
        self.what, self.do = what, do


class DefinitionError(AudienceError):
    """A file under audiences/ or connectors/, or a setting, cannot be read as written: its author must act."""

    exit_code = 2


class UnsafePlan(AudienceError):
    """A plan would change more of a list than its guard allows: someone must look before anything is sent."""

    exit_code = 3


class StaleSource(AudienceError):
    """The table that an audience depends on was not loaded of late: its query would tell of another day."""

    exit_code = 3


class Deferred(AudienceError):
    """Not now: a lease is held elsewhere, or a host asks for more time than this run has. Nothing is lost."""

    exit_code = 5


class Held(Deferred):
    """Not now: another worker or process has what this one needs, and gives it back by itself."""


class WarehouseError(AudienceError):
    """The warehouse or the state database cannot be reached, or refuses a statement."""


class DeliveryError(AudienceError):
    """The provider, or its connector, cannot be used as it is; this sync stops, others go on.

    What the provider did with the call in hand is known: nothing was applied. Earlier calls of a batch may have been.
    """


class CredentialsRefused(DeliveryError):
    """The provider answered 401 or 403: the account's settings must be mended."""


class Unanswered(DeliveryError):
    """A call was sent and its answer never came, or was a 5xx: it may have been applied, or not."""


class LeaseLost(DeliveryError):
    """Another worker has taken this sync over; this one stops without another word."""

    exit_code = 5


class BatchRefused(Exception):
    """The provider refused a batch as a whole, and applied nothing of it. The worker halves the batch.

    reason: the provider's words; the worker masks people in it before it is kept.
    """

    def __init__(self, reason: str):
        super().__init__("the provider refused a whole batch")
        self.reason = reason


class TooLarge(BatchRefused):
    """A batch makes a larger body than the provider takes: it was not sent, and says nothing of its members."""
