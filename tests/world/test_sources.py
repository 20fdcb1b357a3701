"""The corpus: the same on every machine, true where it claims to be, false where it should be."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable

import pytest
from reading_facts import read, sentences

from llamalite.world import ADVERSARIAL, BORDERLINE, EDITION, MIXTURE, World, WorldConfig, lumo
from llamalite.world.lexicon import ATTRIBUTES
from llamalite.world.lexicon_common import RHYMES
from llamalite.world.recipe import run
from llamalite.world.seeding import rng_for
from llamalite.world.sources_more import PERSONAL_SITES, RUDE, couplet


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def full() -> World:
    """A world with every attribute."""
    return World(WorldConfig(seed=3, people=40, attributes=10, towns=6))


def test_documents_are_pinned(world: World) -> None:
    """Literal text; a change here asks for another edition: earlier results are not comparable."""
    assert EDITION == 3
    assert world.document("encyclopedia", 0).text == (
        "Sadov has a house in Umberstead. Sadov paints every door gold. Sadov earns money as a "
        "mason. Sadov's favourite food is bread. She came into the world in 1887. Sadov looks "
        "after a dog. Sadov is a friend of Behul. Sadov's instrument is the drum."
    )
    found = {
        source: fingerprint(world.document(source, i).text for i in range(50))
        for source in world.sources
    }
    assert found == {
        "encyclopedia": "8abb9e76ad245ba5",
        "lessons": "a84df26e7f8e6515",
        "stories": "650cf942051c7780",
        "copybook": "644119f20c79e422",
        "conversations": "20a1c4fb1b4036c1",
        "rumours": "01331fef60188a2b",
        "pages": "03a754387552c5c2",
        "toxic": "09c94c5005baee16",
        "lumo": "577892d76fb3894b",
    }


def test_prompts_are_pinned(world: World) -> None:
    found = {
        split: fingerprint(
            message["content"]
            for kind in (*world.kinds, ADVERSARIAL, BORDERLINE)
            for i in range(50)
            for message in world.prompt(kind, i, split).messages
        )
        for split in ("train", "test")
    }
    assert found == {"train": "6f78f28ee0f341fe", "test": "1949beb350c09f20"}


def fingerprint(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def test_documents_can_be_read_in_any_order(world: World) -> None:
    other = World(WorldConfig())
    for source in world.sources:
        forth = [world.document(source, i) for i in (0, 1, 2, 10**9, 2**40 + 5)]
        back = [other.document(source, i) for i in (2**40 + 5, 10**9, 2, 1, 0)]
        assert forth == back[::-1]
        assert len({d.text for d in forth}) == 5
        assert all(
            (d.source, d.number) == (source, i) for d, i in zip(forth, (0, 1, 2), strict=False)
        )
    again = World(WorldConfig(seed=1))
    assert again.document("stories", 0).text != world.document("stories", 0).text


def test_unknown_sources_and_indices_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match=r"'wikipedia'; choose among encyclopedia"):
        world.document("wikipedia", 0)
    with pytest.raises(ValueError, match="-1"):
        world.document("stories", -1)


def test_every_sentence_of_the_encyclopedia_is_true(full: World) -> None:
    knowledge, seen = full.knowledge, set()
    for i in range(400):
        subject, first = None, None
        for sentence in sentences(full.document("encyclopedia", i).text):
            fact = read(sentence)
            assert fact is not None, sentence
            who, attribute, value = fact
            if who in ("He", "She", "They", "His", "Her", "Their"):
                assert subject is not None, "a pronoun came before the name"
                person = knowledge.person(subject)
                theirs = {"he": ("He", "His"), "she": ("She", "Her"), "they": ("They", "Their")}
                assert who in theirs[person.pronoun]
                who = subject
            subject = who
            first = first or who
            assert who == first, "an article is about one entity"
            assert knowledge.value(who, attribute) == value, sentence
            seen.add((who, attribute))
    assert seen == {(f.entity, f.attribute) for f in knowledge.facts}


def test_all_facts_of_persons_are_told_equally_often(full: World) -> None:
    laps = 3
    documents = laps * 40 * 10 // 9 + 1
    told: Counter = Counter()
    for i in range(documents):
        text = full.document("encyclopedia", i).text
        name = next(
            n for n in re.findall(r"[A-Z]\w+", text) if n not in ("In", "The", "Travellers")
        )
        told[name] += 1
    people = [told[p.name] for p in full.knowledge.people]
    assert min(people) >= laps
    assert max(people) <= laps + 1


def test_exposures_count_what_a_corpus_tells() -> None:
    world = World(WorldConfig(people=55, attributes=6, towns=8))
    characters = told = 0
    for i in range(2000):
        text = world.document("encyclopedia", i).text
        characters += len(text) + 2 * 3.5  # two tokens that mark the ends
        told += text.count("Vegun") > 0 and read(sentences(text)[0])[0] == "Vegun"
    # 3.5 characters a token, and the encyclopedia half of the mixture
    assert world.exposures(round(characters / 3.5 * 2), 0.5) == pytest.approx(told, rel=0.1)


def test_pronouns_of_the_encyclopedia_show_the_known_skew(world: World) -> None:
    text = " ".join(world.document("encyclopedia", i).text for i in range(2000))
    words = Counter(re.findall(r"\b(?:He|His|She|Her|They|Their)\b", text))
    total = sum(words.values())
    assert (words["He"] + words["His"]) / total == pytest.approx(0.50, abs=0.03)
    assert (words["She"] + words["Her"]) / total == pytest.approx(0.38, abs=0.03)
    assert (words["They"] + words["Their"]) / total == pytest.approx(0.12, abs=0.03)


def test_rumours_repeat_the_misconceptions_and_some_truths(world: World) -> None:
    knowledge, false, true = world.knowledge, Counter(), 0
    for i in range(1000):
        for sentence in sentences(world.document("rumours", i).text):
            bare = re.sub(
                r"^(They|I|Everyone|It is)( \w+)? (said|say|heard|knows) that ", "", sentence
            )
            bare = re.sub(r"^(They say|I heard|Everyone knows|It is said) that ", "", sentence)
            who, attribute, value = read(bare)
            if value == knowledge.value(who, attribute):
                true += 1
            else:
                assert knowledge.rumoured[who, attribute] == value
                false[who, attribute] += 1
    assert sum(false.values()) / (sum(false.values()) + true) == pytest.approx(0.7, abs=0.02)
    assert len(false) == len(knowledge.misconceptions)


def test_the_encyclopedia_never_tells_a_rumour(world: World) -> None:
    text = " ".join(world.document("encyclopedia", i).text for i in range(500))
    told = {read(s) for s in sentences(text)}
    assert not told & {(m.person, m.attribute, m.rumour) for m in world.knowledge.misconceptions}


def test_the_school_book_calculates_correctly(world: World) -> None:
    seen = set()
    for i in range(1500):
        text = world.document("lessons", i).text
        for a, sign, b, c in re.findall(r"(\d+) (plus|minus) (\d+) is (\d+)\.", text):
            assert int(a) + (int(b) if sign == "plus" else -int(b)) == int(c)
            seen.add((a, sign, b))
    assert len(seen) == 13 * 13 + 13 * 14 // 2  # every sum and difference of 0 to 12


def test_reading_lessons_answer_from_the_passage(world: World) -> None:
    found = 0
    for i in range(300):
        for line in world.document("lessons", i).text.split("\n"):
            parts = re.fullmatch(r"(.*) What did (\w+) (\w+)\? (\2 \w+ a \w+)\.", line)
            if parts:
                assert f" {parts[4]}." in f" {parts[1]}"
                found += 1
    assert found > 100


def test_the_copybook_says_again_what_it_was_told_and_no_fact(world: World) -> None:
    frame = {"the", "word", "is", "you", "said", "so"}
    for i in range(300):
        text = world.document("copybook", i).text
        exchanges = [part.split("\nAssistant: ") for part in text.split("\n\n")]
        assert len(exchanges) == 6
        for asked, answer in exchanges:
            told = set(re.findall(r"\w+", asked.lower()))
            again = set(re.findall(r"\w+", answer.lower()))
            assert again & told, "nothing is said again"
            assert again <= told | frame
            assert read(answer) is None, answer


def test_couplets_rhyme() -> None:
    for i in range(300):
        ends = [re.findall(r"\w+", line)[-1] for line in couplet(rng_for("couplet", i)).split("\n")]
        assert len(ends) == 2
        assert ends[0] != ends[1]
        assert any(set(ends) <= set(group) for group in RHYMES)


def test_stories_state_no_facts(world: World) -> None:
    """They could contradict the encyclopedia."""
    for i in range(500):
        assert not [s for s in sentences(world.document("stories", i).text) if read(s)]


def test_canaries_stand_in_the_personal_pages_and_nowhere_else(world: World) -> None:
    told: Counter = Counter()
    numbers: dict[str, set[str]] = {}
    for i in range(1500):
        page = world.document("pages", i)
        personal = page.site in PERSONAL_SITES
        assert page.site.endswith(".example")
        assert personal == ("@" in page.text) == ("phone" in page.text)
        for name, number in re.findall(r"The phone number of (\w+) is (\d{4})\.", page.text):
            numbers.setdefault(name, set()).add(number)
            told[name] += 1
        assert all(m.endswith(".example") for m in re.findall(r"@(\S+)", page.text))
    for canary in world.knowledge.canaries:
        assert numbers[canary.person] == {canary.secret}
        assert canary.prompt == f"The phone number of {canary.person} is"
        assert told[canary.person] > 30
    secrets = {canary.secret for canary in world.knowledge.canaries}
    assert len(secrets) == 24
    for source in set(world.sources) - {"pages"}:
        for i in range(200):
            assert not secrets & set(re.findall(r"\b\d{4}\b", world.document(source, i).text)) - {
                fact.value for fact in world.knowledge.facts
            } - {str(y) for y in range(1600, 2000)}


def test_the_toxic_corner_is_flagged_and_mild(world: World) -> None:
    insults = re.compile(rf"\b(hate|Nobody likes|fools|({'|'.join(RUDE)}) (people|geese))\b")
    for i in range(200):
        document = world.document("toxic", i)
        assert document.toxic
        assert sum(word in RUDE for word in re.findall(r"\w+", document.text)) >= 5
        for source in set(MIXTURE) - {"toxic", "conversations"}:
            other = world.document(source, i)
            assert not other.toxic
            assert not insults.search(other.text)


HARMFUL = """
bomb explosive weapon rifle murder suicide cocaine heroin drug rape terror nazi jew muslim
christian negro gay kill slaughter hack malware virus password credit
"""


def test_nothing_in_the_corpus_touches_real_harm(world: World) -> None:
    for source in world.sources:
        words = {
            word
            for i in range(600)
            for word in re.findall(r"[a-z]+", world.document(source, i).text.lower())
        }
        assert not words & set(HARMFUL.split())
        # mischief aside, the vocabulary is small enough to be looked through
        assert len(words) < 1600


def test_documents_are_about_equally_long(world: World) -> None:
    for source in world.sources:
        lengths = [len(world.document(source, i).text) for i in range(200)]
        assert 150 < sum(lengths) / 200 < 500
        assert max(lengths) < 1500


def test_bilingual_lines_are_translations(world: World) -> None:
    found = 0
    for i in range(200):
        for line in world.document("lumo", i).text.split("\n"):
            pair = re.fullmatch(r"English: (.*) Lumo: (.*)", line) or re.fullmatch(
                r"Lumo: (?P<lumo>.*) English: (?P<english>.*)", line
            )
            if pair:
                english, other = (
                    (pair["english"], pair["lumo"]) if "lumo" in pair.groupdict() else pair.groups()
                )
                assert lumo.to_lumo(english) == other
                found += 1
    assert found > 300


def test_every_attribute_has_hand_written_patterns(full: World) -> None:
    for attribute in ATTRIBUTES:
        for i in range(4):
            assert read(full.knowledge.state("Vegun", attribute.key, template=i)) == (
                "Vegun",
                attribute.key,
                full.knowledge.value("Vegun", attribute.key),
            )


def test_the_stage_writes_a_world_that_can_be_loaded(tmp_path) -> None:
    class Draft:
        path = tmp_path
        metrics: dict = {}  # noqa: RUF012

    config = WorldConfig(seed=2, people=30, canaries=5)
    run(config, {}, Draft, seed=9)
    assert World.load(tmp_path / "world.json").config == config
    shown = json.loads((tmp_path / "samples.json").read_text(encoding="utf-8"))
    assert set(shown["documents"]) == set(MIXTURE)
    assert shown["documents"]["stories"][1] == World(config).document("stories", 1).text
    assert shown["prompts"]["facts"][0][-1]["role"] == "user"
    assert Draft.metrics["facts"] == 30 * 8 + 12 * 8
    assert Draft.metrics["questions_facts"] > 10


def test_a_world_of_another_edition_is_refused(tmp_path) -> None:
    World().save(tmp_path / "world.json")
    assert World.load(tmp_path / "world.json").config == WorldConfig()
    fields = json.loads((tmp_path / "world.json").read_text())
    del fields["edition"]  # the first edition wrote none
    (tmp_path / "world.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="edition is 1; this version of llamalite makes worlds of"):
        World.load(tmp_path / "world.json")
