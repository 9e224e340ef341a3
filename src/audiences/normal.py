"""Identifiers as the ad platforms want them: one rule for each way in which a platform writes one before it matches.

A rule is a form, by which the warehouse compares, and what is left to do with a value in that form. No two forms that a
rule lets pass become one value: what the warehouse holds apart is apart at the platform too, and what is one is one.
The table of the rules, with what each does, is docs/identifiers.md.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from audiences import phone
from audiences.identity import Form, Lower, Trim
from audiences.mailbox import Bare
from audiences.phone import Without

# What Unicode counts as blank, and the two that show nothing though they are none.
BLANKS = (
    " \t\n\r\x0b\x0c\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u200b\ufeff"
)
NO_LETTERS = BLANKS + string.digits + string.punctuation + "´‘’‚‛“”„‟«»‹›‐‑‒–—―…·•¡¿°ºª\u00ad\u200e\u200f"
MARK = "sha256:"
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NOBODY = "00000000-0000-0000-0000-000000000000"
_GMAIL = ("@gmail.com", "@googlemail.com")


@dataclass(frozen=True, slots=True)
class Rule:
    """How a platform writes one identifying value before it matches.

    form:   how two values are compared, in SQL and in Python
    final:  the platform's own form of a value in `form`; raises ValueError, in words for a person, where it is none
    hashed: whether SHA-256 of its UTF-8 is sent, as lower-case hex, and not the value itself
    region: whether the form depends on the sync's option `region`
    """

    form: Form
    final: Callable[[str], str]
    hashed: bool = True
    region: bool = False

    def of(self, value: object) -> str:
        """The platform's form of a value. Raises ValueError, which does not show it, where it is no such value."""
        return self.final(self.form.of(value))

    def sent(self, value: object) -> str:
        """What is sent for it: the same, or its hash."""
        text = self.of(value)
        return sha256(text.encode()).hexdigest() if self.hashed else text

    def within(self, region: str | None) -> Rule:
        """The same rule, for numbers of a country that are written without its code. ValueError for no country."""
        return replace(self, form=phone.form(region)) if self.region else self


@dataclass(frozen=True, slots=True)
class Gmail:
    """A mailbox at Google without its dots, and without a plus sign and what follows: it is one mailbox with them."""

    def of(self, text: str) -> str:
        mailbox, at, host = text.partition("@")
        return f"{mailbox.partition('+')[0].replace('.', '')}{at}{host}" if f"{at}{host}" in _GMAIL else text

    def sql(self, text: str) -> str:
        host, mailbox = f"substr({text}, position('@' in {text}))", f"split_part({text}, '@', 1)"
        hosts = ", ".join(f"'{host}'" for host in _GMAIL)
        bare = f"replace(split_part({mailbox}, '+', 1), '.', '')"
        return f"case when {host} in ({hosts}) then {bare} || {host} else {text} end"


@dataclass(frozen=True, slots=True)
class First:
    """The first character."""

    def of(self, text: str) -> str:
        return text[:1]

    def sql(self, text: str) -> str:
        return f"substr({text}, 1, 1)"


@dataclass(frozen=True, slots=True)
class TwoDigits:
    """A single digit with a zero before it."""

    def of(self, text: str) -> str:
        return f"0{text}" if len(text) == 1 else text

    def sql(self, text: str) -> str:
        return f"case when length({text}) = 1 then '0' || {text} else {text} end"


@dataclass(frozen=True, slots=True)
class Marked:
    """Said to be a hash. The ledger keeps the mark: what was sent as a hash leaves as one, whatever is sent by then."""

    def of(self, text: str) -> str:
        return text if not text or text.startswith(MARK) else f"{MARK}{text}"

    def sql(self, text: str) -> str:
        there = f"{text} = '' or substr({text}, 1, {len(MARK)}) = '{MARK}'"
        return f"case when {there} then {text} else '{MARK}' || {text} end"


@dataclass(frozen=True, slots=True)
class FiveOfNine:
    """A ZIP code of the United States without its last four digits: 94025-1234."""

    def of(self, text: str) -> str:
        return text[:5] if len(text) == 10 and text[5] == "-" else text

    def sql(self, text: str) -> str:
        return f"case when length({text}) = 10 and substr({text}, 6, 1) = '-' then substr({text}, 1, 5) else {text} end"


def _address(text: str) -> str:
    mailbox, _, host = text.partition("@")
    if not (mailbox and host) or "@" in host:
        raise ValueError("is no e-mail address")
    return _plain(text) if " " not in text else _refused("is no e-mail address: it holds a blank")


def _bare(text: str) -> str:
    """An address whose mailbox is of letters and digits."""
    mailbox = _address(text).partition("@")[0]
    return text if mailbox.isascii() and mailbox.isalnum() else _refused("is no address of letters a to z and digits")


def _plain(text: str) -> str:
    """Any text but none, in which every character shows, and as an engine that knows Unicode lowers it."""
    if not text:
        raise ValueError("has no value")
    return text if text.isprintable() else _refused("holds characters that do not show")


def _digits(text: str) -> str:
    """A number as dialled after the plus sign."""
    return phone.judged(text)[1:]


def _letters(text: str) -> str:
    """Letters with their marks, composed: é as one character has another hash than e and an accent."""
    if not text or not all(unicodedata.category(letter)[0] in "LM" for letter in text):
        raise ValueError("is no name: it has no letters, or signs that are none")
    return (
        text if unicodedata.is_normalized("NFC", text) else _refused("has accents apart from their letters (not NFC)")
    )


def _like(pattern: str, words: str) -> Callable[[str], str]:
    whole = re.compile(pattern)
    return lambda text: text if whole.fullmatch(text) else _refused(words)


def _hex(text: str) -> str:
    found = text.removeprefix(MARK)
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise ValueError("is no SHA-256 of 64 hex digits; hash it, or take it out of hashed")
    return found


def _device(text: str) -> str:
    if text == _NOBODY:
        raise ValueError("is the id of everyone who allows no advertising")
    return text if _UUID.fullmatch(text) else _refused("is no mobile advertising id, 8-4-4-4-12 hex digits")


def _country(text: str) -> str:
    return text if re.fullmatch("[a-z]{2}", text) else _refused("is no country of two letters, as DE")


def _refused(words: str) -> str:
    raise ValueError(words)


_CASELESS = Form("caseless, all blanks", (Trim(BLANKS), Lower()))
_BLANKLESS = Form("all blanks", (Trim(BLANKS),))
_LETTERS = Form("letters", (Lower(), Without(NO_LETTERS)))
_ZIP = Form("zip", (Trim(BLANKS), Lower(), FiveOfNine(), Without(BLANKS + "-")))
_PADDED = Form("two digits", (Trim(BLANKS), TwoDigits()))

# Trimmed and lower-case is what every platform asks: https://docs.x.com/x-ads-api/audiences
# https://learn.microsoft.com/en-us/advertising/campaign-management-service/customerlistuserdata
EMAIL = Rule(_CASELESS, _address)
# Its own client also takes dots away around it: facebook-business 26.0.3, adobjects/helpers/customaudiencemixin.py
EMAIL_META = Rule(Form("caseless, all blanks and dots", (Trim(BLANKS + "."), Lower())), _address)
# https://developers.google.com/data-manager/api/devguides/concepts/formatting (read 2026-11)
GMAIL_EMAIL = Rule(Form("gmail", (Trim(BLANKS), Lower(), Gmail())), _address)
# "Strip everything between the first + to the end of the username, remove all non-alphanumeric characters from it":
# Reddit's page on manual advanced matching, https://ads-api.reddit.com/docs/v3/ (read 2026-11)
EMAIL_REDDIT = Rule(
    Form("letters and digits", (Trim(BLANKS), Lower(), Bare(string.punctuation.replace("@", "")))), _bare
)
# https://developers.google.com/data-manager/api/devguides/concepts/formatting (read 2026-11)
PHONE_PLUS = Rule(phone.form(), phone.judged, region=True)
# https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences (read 2026-11)
PHONE_DIGITS = Rule(phone.form(), _digits, region=True)
# https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences (read 2026-11)
MADID = Rule(_CASELESS, _device, hashed=False)
# "IDFA lower-case with dashes": https://docs.x.com/x-ads-api/audiences (read 2026-11)
MADID_HASHED = Rule(_CASELESS, _device)
# "IDFA values are upper-cased, and AAID values lower-cased" for Reddit:
# https://docs.extract.to/reverse-etl-destinations/reddit-audiences (read 2026-11)
IDFA_CAPITAL = Rule(_CASELESS, lambda text: _device(text).upper())
# Letters outside a to z stay, as in the vendor's own examples, which its client would cut:
# https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters
NAME_META = Rule(_LETTERS, _letters)
CITY = Rule(_LETTERS, _letters)
STATE = Rule(_LETTERS, _letters)
POSTCODE_META = Rule(_ZIP, _like("[a-z0-9]{2,10}", "is no postal code"))
COUNTRY_META = Rule(_CASELESS, _country)
BIRTH_YEAR = Rule(_BLANKLESS, _like("(19|20)[0-9]{2}", "is no year of four digits"))
BIRTH_MONTH = Rule(_PADDED, _like("0[1-9]|1[0-2]", "is no month from 1 to 12"))
BIRTH_DAY = Rule(_PADDED, _like("0[1-9]|[12][0-9]|3[01]", "is no day from 1 to 31"))
GENDER = Rule(Form("first letter", (Trim(BLANKS), Lower(), First())), _like("[mf]", "is neither m nor f"))
# https://developers.google.com/data-manager/api/devguides/concepts/formatting (read 2026-11)
NAME_GOOGLE = Rule(_CASELESS, _plain)
POSTCODE_GOOGLE = Rule(_BLANKLESS, _plain, hashed=False)
COUNTRY_GOOGLE = Rule(_CASELESS, lambda text: _country(text).upper(), hashed=False)
# An id of the customer's own choice: no platform changes a letter of it.
EXTERNAL_ID = Rule(Form.EXACT, _plain, hashed=False)
EXTERNAL_ID_HASHED = Rule(Form.EXACT, _plain)
# "No @, lower-case, trimmed": https://docs.x.com/x-ads-api/audiences (read 2026-11)
HANDLE = Rule(
    Form("handle", (Lower(), Without("@"), Trim(BLANKS))), _like("[a-z0-9_]{1,15}", "is no handle, as AdsAPI")
)
# Of companies: a website's host, and the number in LinkedIn's urn:li:organization:1337. In what form LinkedIn compares
# hosts is not said; letters of either case are one host everywhere.
# https://learn.microsoft.com/linkedin/marketing/matched-audiences/create-and-manage-segment-companies (read 2026-11)
DOMAIN = Rule(_CASELESS, _like(r"[^\s/:@.]+(\.[^\s/:@.]+)+", "is no domain, as example.com"), hashed=False)
ORGANIZATION = Rule(_BLANKLESS, _like("[0-9]{1,19}", "is no number of an organization, as 1337"), hashed=False)
# For a column that the sync's option `hashed` names: it holds what a platform's rule comes to.
HEX = Rule(Form("hashed", (Trim(BLANKS), Lower(), Marked())), _hex, hashed=False)
