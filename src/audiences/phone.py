"""A telephone number in its international form, +4930123456: once in Python, once in SQL, and judged by `phonenumbers`.

SQL knows no numbering plans. It takes the punctuation out and puts the country's code before a number that was written
without one. Whether that is a number at all, and as the library writes it, the worker sees before it sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from audiences.identity import Form

# Blanks, also those that do not break, and what stands between digits; the order is that of their code points.
PUNCTUATION = (
    "\t\n\r ()-./[]\u00a0\u00ad·\u2002\u2003\u2007\u2009\u200b\u200e\u200f‐‑‒–—−\u202a\u202c\u202f\u2060\u3000－\ufeff"
)


SHORTEST = len("+6834000")  # no shorter number is dialled from abroad; the library lets those of a town pass


@dataclass(frozen=True, slots=True)
class Without:
    """Without these characters, wherever they stand."""

    characters: str

    def of(self, text: str) -> str:
        return text.translate(_dropped(self.characters))

    def sql(self, text: str) -> str:
        return "translate({}, '{}', '')".format(text, self.characters.replace("'", "''"))


@cache
def _dropped(characters: str) -> dict[int, None]:
    return dict.fromkeys(map(ord, characters))


@dataclass(frozen=True, slots=True)
class NoTrunk:
    """Without the `(0)` that many write between a country's code and the rest: it is not dialled from abroad."""

    def of(self, text: str) -> str:
        return text.replace("(0)", "")

    def sql(self, text: str) -> str:
        return f"replace({text}, '(0)', '')"


@dataclass(frozen=True, slots=True)
class Abroad:
    """Digits as they are dialled in one country, as from abroad.

    code:    the country's, as "49"
    out:     what is dialled before another country's code, as "00"; '' where there are several, as in Brazil
    trunk:   what is dialled before a number of the country itself, as "0"; '' for nothing
    longest: digits of a number of the country; a longer one that starts with its code was written with it
    """

    code: str
    out: str
    trunk: str
    longest: int

    def of(self, text: str) -> str:
        if not text or text.startswith("+"):
            return text
        for start, put in self._starts():
            if text.startswith(start):
                return put + text[len(start) :]
        if text.startswith(self.code) and len(text) > self.longest:
            return f"+{text}"
        return f"+{self.code}{text}"

    def sql(self, text: str) -> str:
        starts = "".join(
            f" when substr({text}, 1, {len(start)}) = '{start}' then '{put}' || substr({text}, {len(start) + 1})"
            for start, put in self._starts()
        )
        coded = f"substr({text}, 1, {len(self.code)}) = '{self.code}' and length({text}) > {self.longest}"
        return (
            f"case when substr({text}, 1, 1) in ('', '+') then {text}{starts}"
            f" when {coded} then '+' || {text} else '+{self.code}' || {text} end"
        )

    def _starts(self) -> list[tuple[str, str]]:
        """Each prefix, and what stands for it; the way out first, for it may begin as a number of the country does."""
        return [(start, put) for start, put in ((self.out, "+"), (self.trunk, f"+{self.code}")) if start]


def form(region: str | None = None) -> Form:
    """The form of numbers of a country (ISO 3166-1, as "DE") that are written without its code; None: all have one.

    Raises ValueError where there is no such country.
    """
    bare = (NoTrunk(), Without(PUNCTUATION))
    return Form(f"phone {region}", (*bare, _abroad(region))) if region else Form("phone", bare)


@cache
def _abroad(region: str) -> Abroad:
    import phonenumbers

    plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if plan is None or plan.general_desc is None:
        raise ValueError(f"there is no country {region!r}")
    outs = [plan.preferred_international_prefix or "", plan.international_prefix or ""]
    return Abroad(
        str(plan.country_code),
        next((out for out in outs if out.isdigit()), ""),
        plan.national_prefix or "",
        max(plan.general_desc.possible_length),
    )


def judged(text: str) -> str:
    """A number in its normal form, as it is. Raises ValueError where the library would write it otherwise, or not."""
    import phonenumbers

    if not text.startswith("+"):
        raise ValueError("lacks its country's code; write it as +49…, or set the sync's option region")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise ValueError("is no telephone number; write it as +49…") from None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if written != text or len(text) < SHORTEST or not phonenumbers.is_possible_number(number):
        raise ValueError("is no telephone number that can be read surely; write it as +49…")
    return text
