"""The connector `meta_ads`: one identifier a row, what Meta says of rows and of audiences, and where it is found."""

from __future__ import annotations

import hashlib
import hmac

import httpx
import pytest

from audiences import BatchRefused, DefinitionError, DeliveryError, Member
from audiences.errors import CredentialsRefused
from dialogue import ADA, ZOE, Dialogue, answering, documented, first, told

# Published by Meta: …/conversions-api/parameters/customer-information-parameters
MARY = "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"
VALERY = "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"
JEONG = "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"
DEVICE = "ab1234cd-12ef-4a5b-8c9d-0123456789ab"
WEBSITE = {"name": "Detractors", "subtype": "WEBSITE"}
FULL = ["email", "phone", "madid", "first_name", "last_name", "country", "city"]


@pytest.fixture
def meta(tmp_path):
    return Dialogue("meta_ads", tmp_path)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def payloads(meta, method="POST"):
    """What was said of rows by this method."""
    return [body["payload"] for body in meta.sent(method, "/v26.0/2385") if body]


def failing(code, subcode=None, words="No", **more):
    """An answer of 400 as Meta gives it."""
    error = {"message": words, "type": "OAuthException", "code": code, **more}
    return httpx.Response(400, json={"error": error | ({"error_subcode": subcode} if subcode else {})})


def test_each_identifier_goes_in_a_row_of_its_own(meta):
    """
    Whatever the kind, a row says one identifier and leaves all other keys blank; all but the mobile ad id are hashed.
    """
    remote = meta.speak(send=FULL, region="DE")
    name = {"first_name": "Mary", "last_name": "Smith", "country": "US", "city": "New York"}
    people = [{"email": ADA}, {"phone": "030 123456"}, {"madid": DEVICE.upper()}, name]

    remote.upsert(remote.prepare("Detractors"), [Member(str(n), each, n) for n, each in enumerate(people)])

    [payload] = payloads(meta)
    assert payload["schema"] == ["EMAIL", "PHONE", "MADID", "FN", "LN", "COUNTRY", "CT"]
    assert [[value for value in row if value] for row in payload["data"]] == [
        [sha(ADA)],
        [sha("4930123456")],
        [DEVICE],
        [MARY, sha("smith"), sha("us"), sha("newyork")],
    ]


@pytest.mark.parametrize(("name", "expected"), [("Mary", MARY), ("Valéry", VALERY), ("정", JEONG)])
def test_names_are_hashed_as_meta_publishes(meta, name, expected):
    """
    Letters outside a to z stay: the hashes are those on Meta's own page.
    """
    remote = meta.speak(send=["first_name", "last_name", "country"])
    fields = {"first_name": name, "last_name": name, "country": "fr"}

    remote.upsert(remote.prepare("Detractors"), [Member("1", fields, 1)])

    assert payloads(meta)[0]["data"] == [[expected, expected, sha("fr")]]


def test_a_removal_names_one_identifier(meta):
    """
    An address that goes leaves the person's number in the audience.
    """
    remote = meta.speak(send=["email", "phone"], region="DE")
    where = remote.prepare(meta.far.list)
    address, number = (
        Member("1", {"email": ADA, "phone": None}, 1),
        Member("2", {"email": None, "phone": "030 123456"}, 2),
    )
    remote.upsert(where, [address, number])

    receipt = remote.remove(where, [address])

    assert receipt.accepted == {"1"}
    assert meta.far.listed() == [sha("4930123456")]
    assert payloads(meta, "DELETE") == [{"schema": ["EMAIL", "PHONE"], "is_raw": True, "data": [[sha(ADA), ""]]}]


def test_an_identifier_that_is_sent_no_more_can_leave(meta):
    """
    A sync that has stopped to send numbers takes those off that it has sent before, each in the column of its own.
    """
    number = Member("1", {"phone": "+4930123456"}, 1)
    before, now = meta.speak(send=["email", "phone"]), meta.speak()
    where = before.prepare(meta.far.list)
    before.upsert(where, [number])

    assert now.remove(where, [number, *told(ADA)]).accepted == {"1", ADA}
    assert meta.far.listed() == []
    assert payloads(meta, "DELETE")[0]["data"] == [["", sha("4930123456")], [sha(ADA), ""]]


def test_who_has_no_usable_identifier_is_refused_and_not_sent(meta):
    """
    A value that is no address is refused with its reason; where nobody is left, no call is made.
    """
    remote = meta.speak()
    where = remote.prepare("Detractors")

    both, alone = remote.upsert(where, told(ADA, "nowhere")), remote.upsert(where, told("nowhere"))

    assert both.accepted == {ADA}
    assert both.rejected == alone.rejected == {"nowhere": "email is no e-mail address"}
    assert len(payloads(meta)) == 1


@pytest.mark.parametrize(("said", "options"), [(True, ["LDU"]), (None, ["LDU"]), (False, [])])
def test_a_column_limits_data_use(meta, said, options):
    """
    Each row says LDU or that there is no limit, as its column does; nothing known is a limit. A removal says neither.
    """
    remote = meta.speak(send=["email", "limited_data_use"])
    where, people = remote.prepare("Detractors"), told(ADA, limited_data_use=said)

    remote.upsert(where, people)
    remote.remove(where, people)

    assert payloads(meta)[0]["schema"] == ["EMAIL", "DATA_PROCESSING_OPTIONS"]
    assert payloads(meta)[0]["data"] == [[sha(ADA), options]]
    assert payloads(meta, "DELETE")[0]["schema"] == ["EMAIL"]


def test_an_option_limits_the_use_of_all_data(meta):
    """
    With limited_data_use = true every row says LDU, and without it or a column none says anything.
    """
    for limited in (True, False):
        remote = meta.speak(limited_data_use=limited)
        remote.upsert(remote.prepare("Detractors"), told(ADA))

    assert [each["data"] for each in payloads(meta)] == [[[sha(ADA), ["LDU"]]], [[sha(ADA)]]]


def test_an_unclear_limit_is_no_limit_that_is_sent(meta):
    """
    A word where true or false is meant refuses its member, and nobody else.
    """
    remote = meta.speak(send=["email", "limited_data_use"])
    people = [*told(ADA, limited_data_use=True), *told(ZOE, limited_data_use="no")]

    receipt = remote.upsert(remote.prepare("Detractors"), people)

    assert receipt.accepted == {ADA}
    assert receipt.rejected == {ZOE: "limited_data_use is neither true nor false"}


def test_what_meta_counts_as_invalid_is_told_as_a_number(meta):
    """
    Rows that Meta cannot use and does not name are counted; where it can use none of a call's, each is refused.
    """
    meta.far.unusable = {sha(ZOE)}
    remote = meta.speak()
    where = remote.prepare("Detractors")

    some, all_of_them = remote.upsert(where, told(ADA, ZOE)), remote.upsert(where, told(ZOE))

    assert (some.accepted, some.unnamed) == ({ADA, ZOE}, 1)
    assert all_of_them.rejected.keys() == {ZOE}
    assert remote.remove(where, told(ZOE)).accepted == {ZOE}


def test_what_meta_has_not_received_is_no_success(meta):
    """
    An answer that counts fewer rows than were sent leaves the others among those refused without a name.
    """
    said = {"audience_id": "1", "session_id": "2", "num_received": 1, "num_invalid_entries": 0}
    remote = meta.speak(before=answering("/users", 200, **said))

    assert remote.upsert(remote.prepare("Detractors"), told(ADA, ZOE)).unnamed == 1


def test_an_audience_is_found_by_its_name_on_any_page(meta):
    """
    Exactly by its name, and as a customer file: a second run finds the one that the first has made.
    """
    meta.far.audiences |= {str(n): {"name": f"Detractors {n}", "subtype": "CUSTOM"} for n in range(5)}
    remote = meta.speak(customer_file_source="PARTNER_PROVIDED_ONLY")

    made, found = remote.prepare("Detractors"), remote.prepare("Detractors")

    assert made == found == "23850000000001"
    [wanted] = meta.sent("POST", "/v26.0/act_4711/customaudiences")
    assert (wanted["subtype"], wanted["customer_file_source"]) == ("CUSTOM", "PARTNER_PROVIDED_ONLY")


def test_an_audience_that_meta_fills_is_not_written_to(meta):
    """
    A name or an id that an audience of another kind has is an error, and nothing is made.
    """
    meta.far.audiences["7"] = WEBSITE

    with pytest.raises(DefinitionError, match="'Detractors' is an audience that Meta fills by itself"):
        meta.speak().prepare("Detractors")
    with pytest.raises(DefinitionError, match="'7' is an audience that Meta fills by itself\n  do: write another list"):
        meta.speak().upsert("7", told(ADA))
    assert not meta.sent("POST")


@pytest.mark.parametrize("code", [4, 17, 613, 80003])
def test_too_many_calls_are_waited_for(meta, code):
    """
    Meta says so by the code of a 400: the call is made again after a minute, or after as many as its header names.
    """
    remote = meta.speak(before=first(failing(code), meta.far.throttled(600)))

    remote.check()

    assert 660 <= meta.clock.now < 900
    assert len(meta.calls) == 3


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (failing(190, 463), CredentialsRefused, "refuses the account's credentials"),
        (failing(200), CredentialsRefused, "what they may do"),
        (failing(200, 1870090), DeliveryError, r"do: have someone .* accept them: https://\S+/tos/\?act=4711$"),
        (failing(2655), DeliveryError, "no consent of this ad account to its terms"),
        (failing(100, 33), DeliveryError, r"(?s)no such custom audience.*`audiences forget`"),
        (failing(2650, 1487366), DeliveryError, "no such custom audience"),
        (failing(100, 1713230, error_user_msg="Resolve it"), DeliveryError, r"(?s)Resolve it.*can be appealed"),
        (failing(368, words="Abusive"), DeliveryError, "Abusive"),
        (failing(2650, words="Failed to update"), DeliveryError, "Failed to update"),
        (failing(100, words="Invalid parameter"), BatchRefused, "refused a whole batch"),
        (httpx.Response(403, json={"error": "by a proxy"}), CredentialsRefused, "answered 403"),
    ],
    ids=["token", "right", "terms", "terms-2655", "gone", "deleted", "blocked", "abusive", "failed", "rows", "proxy"],
)
def test_an_error_says_who_has_to_mend_what(meta, answer, error, words):
    """
    What a person has to mend stops the sync with the way out, and refuses no member; only what is wrong with rows does.
    """
    remote = meta.speak(before=lambda request: answer if request.url.path.endswith("/users") else None)
    where = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.remove):
        with pytest.raises(error, match=words):
            verb(where, told(ADA))
    assert len(payloads(meta)) == len(payloads(meta, "DELETE")) == 1


def test_a_check_tells_of_terms_that_nobody_accepted(meta):
    """
    The check asks for nothing but the account's consent to the terms, and names the page on which to give it.
    """
    remote = meta.speak()
    remote.check()
    meta.far.terms = 0

    with pytest.raises(DeliveryError, match=r"customaudiences/tos/\?act=4711"):
        remote.check()
    assert {(method, path) for method, path, _ in meta.calls} == {("GET", "/v26.0/act_4711?fields=tos_accepted")}


@pytest.mark.parametrize("number", ["4711", "act_4711", " act_4711 "])
def test_the_apps_secret_proves_the_token(meta, number):
    """
    With META_ADS_APP_SECRET each call has the keyed hash of the token, and the secret itself nowhere.
    """
    settings = {"META_ADS_APP_SECRET": "not-a-real-secret", "META_ADS_AD_ACCOUNT": number}
    meta.speak(settings=settings).check()

    proof = hmac.new(b"not-a-real-secret", b"not-a-real-token", hashlib.sha256).hexdigest()
    assert meta.requests[0].url.params["appsecret_proof"] == proof
    assert meta.requests[0].url.path == "/v26.0/act_4711"


def test_a_field_that_meta_does_not_know_is_named(meta):
    """
    What is no identifier of Meta's cannot be sent, and the error says what can.
    """
    with pytest.raises(DefinitionError, match=r"(?s)knows nothing called 'nps'.*email, phone, madid"):
        meta.speak(send=["email", "nps"])


def test_the_section_in_the_manual_is_valid(tmp_path):
    """
    The sample of the docstring can be read as it stands.
    """
    [audience] = documented("meta_ads", tmp_path).audiences

    assert audience.syncs[0].list == "NPS detractors"
