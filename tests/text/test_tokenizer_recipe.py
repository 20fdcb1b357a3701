"""The tokenizer stage on a small corpus, and the shares of its sources."""

import json
from dataclasses import replace
from typing import NamedTuple

import pytest

from llamalite.artifacts import Artifact, Draft, drafting
from llamalite.text.config import TokenizerConfig
from llamalite.text.files import FileCorpus
from llamalite.text.recipe import documents_per_source, make_tokenizer, measure, run
from llamalite.text.tokenizer import Tokenizer


class Page(NamedTuple):
    text: str
    source: str


class Shelf:
    """A corpus of two sources whose words do not overlap."""

    sources = ("tales", "sums")

    def document(self, source, index):
        if source == "tales":
            return Page(f"Once a marmot lived {index} days. It sang.\nThe marmot slept!", source)
        return Page(f"{index} plus {index} equals {index + index}.", source)


def test_each_source_gives_its_share():
    config = TokenizerConfig(sample_documents=100, mixture={"tales": 3.0, "sums": 1.0})
    assert documents_per_source(config, Shelf()) == {"tales": 75, "sums": 25}
    config = TokenizerConfig(sample_documents=10, mixture={"tales": 1.0, "sums": 0.0})
    assert documents_per_source(config, Shelf()) == {"tales": 10}
    config = TokenizerConfig(sample_documents=10)
    assert documents_per_source(config, Shelf()) == {"tales": 5, "sums": 5}


def test_the_vocabulary_follows_the_mixture():
    def length_of(word, mixture):
        config = TokenizerConfig(vocab_size=300, sample_documents=50, mixture=mixture)
        return len(make_tokenizer(config, Shelf()).encode(word))

    for word, own, other in (("marmot", "tales", "sums"), ("equals", "sums", "tales")):
        assert length_of(word, {own: 1.0}) < length_of(word, {other: 1.0})


def test_lengths_are_counted_on_documents_not_learned_from():
    config = TokenizerConfig(vocab_size=320, sample_documents=50, mixture={"tales": 1.0})
    tokenizer = make_tokenizer(config, Shelf())
    texts = [Shelf().document("tales", i).text for i in range(50, 150)]
    found = measure(tokenizer, config, Shelf())
    tokens = sum(len(tokenizer.encode(text)) for text in texts)
    assert found["tokens_per_sentence"] == pytest.approx(tokens / 300, abs=0.01)
    assert found["tokens_per_byte"] == pytest.approx(tokens / sum(map(len, texts)), abs=1e-4)
    assert 0 < found["vocabulary_used"] < 1


def test_a_given_tokenizer_is_used_as_it_is(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "given.model")
    config = TokenizerConfig(model=str(tmp_path / "given.model"))
    assert make_tokenizer(config, Shelf()).fingerprint == tokenizer.fingerprint
    with pytest.raises(ValueError, match="there is no tokenizer at"):
        make_tokenizer(TokenizerConfig(model=str(tmp_path / "other")), Shelf())


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"vocab_size": 0}, "vocab_size is 0"),
        ({"sample_documents": 0}, "sample_documents is 0"),
        ({"character_coverage": 2.0}, r"character_coverage is 2\.0"),
        ({"mixture": {"tales": -1.0}}, r"mixture weight of tales is -1\.0"),
        ({"mixture": {"tales": 0.0}}, "mixture weights of tales are all 0"),
    ],
)
def test_unusable_settings_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        TokenizerConfig(**settings)


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="'plays', which is not there; choose among tales, sums"):
        make_tokenizer(TokenizerConfig(mixture={"plays": 1.0}), Shelf())


def test_the_stage_writes_its_model_and_numbers(tmp_path):
    from llamalite.world import World, WorldConfig

    small = WorldConfig(people=12, attributes=4, towns=5, canaries=4)
    world = tmp_path / "world"
    with drafting(world, "world", small, {}, 0) as draft:
        World(small).save(draft.path / "world.json")
    draft = Draft(tmp_path, tmp_path / "work")
    mixture = {"encyclopedia": 2.0, "stories": 1.0, "lumo": 1.0}
    config = TokenizerConfig(vocab_size=420, sample_documents=200, mixture=mixture)
    run(config, {"world": Artifact.open(world)}, draft, seed=3)
    assert Tokenizer.load(tmp_path / "tokenizer.model").vocab_size == 420
    assert draft.metrics["vocab_size"] == 420
    assert 5 < draft.metrics["tokens_per_sentence"] < 40


def own_texts(folder):
    """A JSONL file sorted by kind, as files often are, and a text file of one line."""
    lines = [f"Once a marmot lived {i} days." for i in range(60)]
    lines += [f"{i} plus {i} equals {i + i}." for i in range(60)] + ["", None]
    rows = [json.dumps({"text": line}) + "\n" for line in lines]
    (folder / "mixed.jsonl").write_text("".join(rows))
    (folder / "one.txt").write_text("A zebra sang alone.\n")
    return {"mixed": str(folder / "*.jsonl"), "one": str(folder / "one.txt")}


def test_the_stage_learns_from_a_persons_own_texts_without_a_world(tmp_path):
    draft = Draft(tmp_path, tmp_path / "work")
    config = TokenizerConfig(vocab_size=330, corpus=own_texts(tmp_path), mixture={"mixed": 1.0})
    run(config, {}, draft, seed=0)
    learned = Tokenizer.load(tmp_path / "tokenizer.model")
    for word, foreign in (("marmot", "armtom"), ("equals", "uaqles")):  # of both halves of the file
        assert len(learned.encode(word)) < len(learned.encode(foreign))
    assert 0 < draft.metrics["tokens_per_byte"] < 1


def test_own_texts_are_each_read_once_and_some_kept_to_measure_on(tmp_path):
    corpus = FileCorpus(own_texts(tmp_path), tmp_path / "cache")
    assert corpus.sizes == {"mixed": 120, "one": 1}
    assert corpus.rejects.reasons == {"blank": 1, "no text": 1}
    config = TokenizerConfig(sample_documents=1000, corpus={"any": "thing"})
    assert documents_per_source(config, corpus) == {"mixed": 108, "one": 1}  # 12 kept back
    config = replace(config, sample_documents=20)
    assert documents_per_source(config, corpus) == {"mixed": 10, "one": 1}
    read = [corpus.document("mixed", i).text for i in range(120)]
    assert len(set(read)) == 120
    halves = ["marmot" in text for text in read[:20]]
    assert 3 < sum(halves) < 17  # not the beginning of a sorted file


def test_nothing_left_to_measure_on_is_no_number(tmp_path, tokenizer):
    where = {"one": own_texts(tmp_path)["one"]}
    corpus = FileCorpus(where, tmp_path / "cache")
    assert measure(tokenizer, TokenizerConfig(corpus=where), corpus) == {}


def test_own_texts_that_are_not_there_are_named(tmp_path):
    config = TokenizerConfig(corpus={"mine": str(tmp_path / "*.jsonl")})
    with pytest.raises(
        ValueError, match=r"no file fits '.*\*\.jsonl', the corpus of source 'mine'"
    ):
        run(config, {}, Draft(tmp_path, tmp_path / "work"), seed=0)
    with pytest.raises(ValueError, match="mixture names encyclopedia, which the corpus has not"):
        TokenizerConfig(corpus=own_texts(tmp_path), mixture={"encyclopedia": 1.0})
