"""The rules by which an identifier is written before a platform matches it, held to what the vendors publish."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences import normal
from audiences.normal import (
    BIRTH_DAY,
    BIRTH_MONTH,
    BIRTH_YEAR,
    CITY,
    COUNTRY_GOOGLE,
    COUNTRY_META,
    EMAIL,
    EMAIL_META,
    EMAIL_REDDIT,
    EXTERNAL_ID,
    GENDER,
    GMAIL_EMAIL,
    HANDLE,
    HEX,
    MADID,
    NAME_GOOGLE,
    NAME_META,
    PHONE_DIGITS,
    PHONE_PLUS,
    POSTCODE_GOOGLE,
    POSTCODE_META,
    STATE,
    Rule,
)
from scale import times
from specified import VARIABLE, folder

RULES = {name: rule for name, rule in vars(normal).items() if isinstance(rule, Rule)}

# What each vendor's page, test or client says that a value comes to, and the hash that it prints for it.
PUBLISHED = [
    # https://github.com/googleads/data-manager-python/blob/5abbf5d/tests/formatter_test.py
    (GMAIL_EMAIL, None, "QuinnY@example.com", "d00d0a7c6d49"),
    (GMAIL_EMAIL, None, "Jefferson.Loves.hiking@gmail.com", "515d2f967f73"),
    (GMAIL_EMAIL, None, "  ALEXZ@example.com   ", "509e933019bb"),
    (PHONE_PLUS, "US", "18005550100", "fb4f73a6ec5f"),
    (PHONE_PLUS, None, "+1 (800) 555-0100", "fb4f73a6ec5f"),
    (PHONE_PLUS, "GB", "441134960987", "0fac52d27ec3"),
    (NAME_GOOGLE, None, "  GivenName  ", "128a07bfe2df"),
    # facebook-business 26.0.3, adobjects/helpers/customaudiencemixin.py
    (EMAIL_META, None, " Foo.Bar@Example.com. ", "00a9fee76047"),
    (NAME_META, None, "Mary-Jane O'Neil", "21553181f376"),
    (CITY, None, "New York", "350c754ba4d3"),
    (POSTCODE_META, None, "94025-1234", "b9a9cf3cd372"),
    (BIRTH_MONTH, None, "7", "19b100ab7725"),
    # facebook-business 26.0.3, adobjects/serverside/normalize.py
    (EMAIL_META, None, " Foo@Example.com ", "321ba197033e"),
    (PHONE_DIGITS, "GB", "0044 844 412 4653", "dc008fda46e2"),
    (COUNTRY_META, None, "US", "79adb2a2fce5"),
    # https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters
    (NAME_META, None, "Mary", "6915771be1c5"),
    (NAME_META, None, "Valéry", "08e1996b5dd4"),
    (NAME_META, None, "정", "8fa8cd9c440b"),
    # https://docs.x.com/x-ads-api/audiences
    (HANDLE, None, "@AdsAPI", "49e0be2aeccf"),
    # Reddit's page on manual advanced matching
    (EMAIL_REDDIT, None, "Al.ice$+Apple@Example.Com", "ff8d9819fc0e"),
    # https://learn.microsoft.com/en-us/advertising/campaign-management-service/customerlistuserdata
    (EMAIL, None, "test@contoso.com", "f25ad364d339"),
]

# The rule that answers for a platform and a field of the file of vectors; a row that none answers for fails.
ANSWERS = {
    ("google", "email"): GMAIL_EMAIL,
    ("google", "phone"): PHONE_PLUS,
    ("google", "name"): NAME_GOOGLE,
    ("google", "region_code"): COUNTRY_GOOGLE,
    ("meta_custom_audience_sdk", "EMAIL"): EMAIL_META,
    ("meta_custom_audience_sdk", "FN"): NAME_META,
    ("meta_custom_audience_sdk", "CT"): CITY,
    ("meta_custom_audience_sdk", "ZIP"): POSTCODE_META,
    ("meta_custom_audience_sdk", "DOBM"): BIRTH_MONTH,
    ("meta_capi_sdk", "em"): EMAIL_META,
    ("meta_capi_sdk", "ph"): PHONE_DIGITS,
    ("meta_capi_sdk", "zp"): POSTCODE_META,
    ("meta_capi_sdk", "country"): COUNTRY_META,
    ("meta", "FN"): NAME_META,
}
# A number without a plus sign is one of a country; the vectors do not say which they mean.
COUNTRIES = {"18005550100": "US", "441134960987": "GB", "0044 844 412 4653": "GB"}

parts = st.sampled_from([*" \t\u00a0.@+-'0149aAéÉßİ正/", "(0)", "@gmail.com", "+49", "00", "301234567", "\u0301"])
near = st.lists(parts, max_size=9).map("".join)
anything = st.one_of(near, st.text(st.characters(exclude_categories=["Cs"]), max_size=14))


@pytest.mark.parametrize(("rule", "region", "value", "expected"), PUBLISHED, ids=lambda each: str(each)[:30])
def test_what_a_vendor_publishes_is_what_is_sent(rule, region, value, expected):
    """
    Each published example comes to the published hash.
    """
    assert rule.within(region).sent(value)[:12] == expected


def test_every_vector_of_the_file_comes_out():
    """
    So does each row of the file of vectors that is kept beside the vendors' documents.
    """
    where = folder()
    if where is None or not (file := where.parent / "hash-vectors.json").is_file():
        pytest.skip(f"hash-vectors.json is not here: it lies beside the vendors' specifications, see {VARIABLE}")
    rows = json.loads(file.read_text())

    for row in rows:
        rule = ANSWERS[row["platform"], row["field"]].within(COUNTRIES.get(row["input"]))
        if row["output"] == "REJECT":
            with pytest.raises(ValueError, match=r"is no|has no|lacks"):
                rule.sent(row["input"])
        else:
            assert (rule.of(row["input"]), rule.sent(row["input"])) == (row["normalized"], row["output"]), row["source"]


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        (EMAIL, "\u00a0A.b+c@GMAIL.com\u200b", "a.b+c@gmail.com"),
        (GMAIL_EMAIL, "A.b+c@GoogleMail.com", "ab@googlemail.com"),
        (GMAIL_EMAIL, "A.b+c@mail.gmail.com", "a.b+c@mail.gmail.com"),
        (PHONE_PLUS, "+49 (0) 30 / 123‑45 67", "+49301234567"),
        (PHONE_DIGITS, "+49 30 1234567", "49301234567"),
        (MADID, " AEBE52E7-03EE-455A-B3C4-E57283966239", "aebe52e7-03ee-455a-b3c4-e57283966239"),
        (NAME_META, " Søren Čapek-Łódź ", "sørenčapekłódź"),
        (NAME_META, "D’Angelo", "dangelo"),
        (STATE, "CA", "ca"),
        (POSTCODE_META, "SW1A 1AA", "sw1a1aa"),
        (POSTCODE_META, "01310-100", "01310100"),
        (POSTCODE_GOOGLE, " SW1A 1AA ", "SW1A 1AA"),
        (COUNTRY_GOOGLE, " uS ", "US"),
        (BIRTH_YEAR, 1984, "1984"),
        (BIRTH_DAY, 31, "31"),
        (GENDER, "Female", "f"),
        (EXTERNAL_ID, 42, "42"),
        (HEX, " AB" + "0" * 62, "ab" + "0" * 62),
    ],
)
def test_a_value_has_one_form(rule, value, expected):
    """
    Blanks, case and punctuation are taken away where the platform takes them away, and letters are kept.
    """
    assert rule.of(value) == expected


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (EMAIL, "nobody"),
        (EMAIL, "a b@example.com"),
        (EMAIL, "a@b@example.com"),
        (EMAIL, "a\x00@example.com"),
        (GMAIL_EMAIL, "..+x@gmail.com"),
        (PHONE_PLUS, "030 1234567"),
        (PHONE_PLUS, "+49 800 FLOWERS"),
        (PHONE_PLUS, "+1 234"),
        (PHONE_PLUS, "+4912"),
        (MADID, "00000000-0000-0000-0000-000000000000"),
        (NAME_META, "- 3 -"),
        (NAME_META, "Vale\u0301ry"),
        (COUNTRY_META, "Germany"),
        (BIRTH_MONTH, 13),
        (BIRTH_YEAR, 84),
        (GENDER, "x"),
        (HANDLE, "two words"),
        (HEX, "a@example.com"),
        *((rule, None) for rule in RULES.values()),
    ],
)
def test_what_is_no_such_value_is_refused_without_showing_it(rule, value):
    """
    A value that the platform could never match is no identifier, and the reason does not repeat it.
    """
    with pytest.raises(ValueError, match=r"\w{2,} ") as refused:
        rule.of(value)

    assert value is None or len(str(value)) < 3 or str(value) not in str(refused.value)


@pytest.mark.parametrize(("region", "value", "expected"), [
    ("DE", "030 1234567", "+49301234567"),
    ("DE", "0049 30 1234567", "+49301234567"),
    ("DE", "+1 800 555 0100", "+18005550100"),
    ("US", "(800) 555-0100", "+18005550100"),
    ("US", "1-800-555-0100", "+18005550100"),
    ("US", "011 49 30 1234567", "+49301234567"),
    ("IT", "06 1234 5678", "+390612345678"),
    ("RU", "8 (495) 123-45-67", "+74951234567"),
    ("HU", "06 1 234 5678", "+3612345678"),
])  # fmt: skip
def test_a_number_without_its_country_is_one_of_the_syncs(region, value, expected):
    """
    What stands before a number is read as it is dialled there: another country's code, or the way to a distant city.
    """
    assert PHONE_PLUS.within(region).of(value) == expected


def test_a_country_that_is_none_is_named():
    """
    A region that the library does not know is a mistake of the sync's author.
    """
    with pytest.raises(ValueError, match="no country 'Germany'"):
        PHONE_PLUS.within("Germany")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@settings(max_examples=times(60, 3_000), deadline=None, derandomize=True)
@given(anything, st.sampled_from([None, "DE", "US", "IT"]))
def test_a_rule_is_done_once(rule, text, region):
    """
    A value in the platform's form stays as it is, hashed as it is said to be, and no other form comes to the same.
    """
    rule = rule.within(region)
    try:
        found = rule.of(text)
    except ValueError:
        return
    form = rule.form.of(text)

    assert rule.form.of(form) == form
    assert rule.of(form) == found
    assert rule.region or rule.of(found) == found
    assert rule.sent(text) == (sha256(found.encode()).hexdigest() if rule.hashed else found)
