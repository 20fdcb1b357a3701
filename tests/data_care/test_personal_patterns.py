"""Personal data found by its form, against tables judged by hand."""

import pytest

from llamalite.data_care.personal_patterns import KINDS, is_card, personal_data
from llamalite.world import World, WorldConfig

GOOD = (
    "The mayor opened the bridge on Monday. People came from every village to see it, and the band "
    "played until the evening. Nobody knew that the river would rise so soon."
)
PIECES = [
    ("mail", "write to ann.lee+x@post.example now", "ann.lee+x@post.example"),
    ("phone", "call 555-123-4567 or", "555-123-4567"),
    ("phone", "her 1-800-555-0199 and", "1-800-555-0199"),
    ("phone", "London 020.7946.0958,", "020.7946.0958"),
    ("phone", "Tokyo 03-1234-5678", "03-1234-5678"),
    ("named_number", "The phone number of Vegun is 4711.", "phone number of Vegun is 4711"),
    ("address", "at 12 Mill Lane in town", "12 Mill Lane"),
    ("social_security", "Jane Doe, SSN 078-05-1120", "078-05-1120"),
    ("social_security", "Jane Doe, 219-09-9999, of Ohio", "219-09-9999"),
    ("social_security", "SSN: 078051120.", "078051120"),
    ("social_security", "Her Social Security number is 078 05 1120, he said", "078 05 1120"),
    # numbers that the networks print for tests
    ("payment_card", "Jane Doe, 4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("payment_card", "her fax 4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("payment_card", "Visa 4012-8888-8888-1881 (12/27)", "4012-8888-8888-1881"),
    ("payment_card", "paid with 5555555555554444.", "5555555555554444"),
    ("payment_card", "2223 0031 2200 3222 of Ann", "2223 0031 2200 3222"),
    ("payment_card", "Amex 3782 822463 10005", "3782 822463 10005"),
    ("payment_card", "Diners 3056 930902 5904", "3056 930902 5904"),
    ("payment_card", "4222222222222", "4222222222222"),
    ("payment_card", "6304 0000 0000 0000 000", "6304 0000 0000 0000 000"),
]


@pytest.mark.parametrize(("kind", "text", "piece"), PIECES)
def test_personal_data_is_found_where_it_stands(kind, text, piece):
    [found] = personal_data(text)
    assert found.kind == kind
    assert text[found.start : found.end] == piece


def test_every_kind_is_shown():
    assert {kind for kind, _, _ in PIECES} == set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "version 10.245.1234",
        "Version 255.245.1234, the mobile version 100.200.3000",
        "Score 12-345-678 in table",
        "12-345-678 34-567-890 100-200-3000",
        "parts 000-12-3456, 666-12-3456, 912-34-5678, 123-00-4567 and 123-45-0000",
        "part 123-45-67890, 9123-45-6789, 123-45-6789-1, 1.123-45-6789",
        "078051120",  # nine digits, and no word that says what they are
        "SSN 1984, and no more",
        "4111 1111 1111 1112",  # the check digit is another
        "1234 5678 9012 3452",  # the check digit is right, but no card begins with 1
        "4111 1111 1111 1111 1111 and 4111 1111 1111, 4111-1111 1111-1111",
        "years 2001 2002 2003 2004, 1984 1985 1986 1987",
        "DE89 3704 0044 0532 0130 00",
        "a share of 0.4111111111111111, ISBN 9783161484100, at 1700000000000 ms",
    ],
)
def test_numbers_of_other_things_are_not_personal(text):
    assert list(personal_data(text)) == []


def test_what_follows_a_number_that_is_no_card_is_found():
    text = "4111 1111 1111 1112 Mill Lane"
    [found] = personal_data(text)
    assert text[found.start : found.end] == "1112 Mill Lane"


def test_of_ten_last_digits_one_checks():
    right = [n for n in range(10) if is_card(f"411111111111111{n}")]
    assert right == [1]
    assert not is_card("42222222222222")  # of fourteen digits, which no Visa card has


@pytest.mark.parametrize(
    "text",
    [
        "+49 30 1234567",
        "(020) 794 6095",
        "+1 (555) 123-4567",
        "555-123-4567",
        "555.123.4567",
        "Call us: 555 123 4567.",
        "Tel. 020 794 6095",
        "fax 030 123 4567",
    ],
)
def test_phones_of_several_countries(text):
    [found] = personal_data(text)
    assert found.kind == "phone"
    number = text[found.start : found.end]
    assert [c for c in number if c.isdigit()] == [c for c in text if c.isdigit()]
    assert not any(map(str.isalpha, number))


def test_what_stands_before_a_called_number_is_found_too():
    text = "Call ann.lee@post.example or 555 123 4567"
    found = [(each.kind, text[each.start : each.end]) for each in personal_data(text)]
    assert found == [("mail", "ann.lee@post.example"), ("phone", "555 123 4567")]


@pytest.mark.parametrize(
    "text",
    [
        "tables 100 200 3000 values 1200 3400 5600",
        "year 1990 2000 2010\nhouses 310 420 5300\nsheep 1200 3400 5600",
        "| 12 | 345 | 678 |\n12 345 678 inhabitants",
        "12.345.678 inhabitants, 192.168.100.200, 100-200-300-400",
        "The phone rang in 1984. 100 200 3000",
    ],
)
def test_tables_of_numbers_are_no_telephones(text):
    assert list(personal_data(text)) == []


def test_every_planted_number_of_the_world_is_found():
    world = World(WorldConfig(seed=7, people=30, canaries=12))
    secrets = {canary.secret: canary.person for canary in world.knowledge.canaries}
    told = 0
    for number in range(1500):
        text = world.document("pages", number).text
        pieces = [text[found.start : found.end] for found in personal_data(text)]
        for secret, person in secrets.items():
            sentence = f"{person} is {secret}."
            told += text.count(sentence)
            assert sum(f"{person} is {secret}" in piece for piece in pieces) == text.count(sentence)
    assert told > 100


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "From 1914 to 1918 there was war; 1,000,000 fell.",
        "See @home, a@b, section 3.2.1, ISBN 9783161484100, version 1.2.3.",
        "The phone rang. Ann was born in 1984.",
        "In 1066 the Road to Hastings was long, and 3 plus 4 is 7.",
    ],
)
def test_harmless_numbers_are_not_personal(text):
    assert list(personal_data(text)) == []


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "1", "a.", "1 ", "+1 ", "Phone A ", "Ab ", "@", "a@b.", "("),
        *(" ", "4", "4111 ", "4111 1111 1111 1112 x ", "123-45-", "SSN ", "SSN 078 05 ", "2-"),
    ],
)
def test_no_text_makes_the_search_go_on_for_ever(piece):
    assert len(list(personal_data(piece * (500_000 // len(piece))))) < 500_000
