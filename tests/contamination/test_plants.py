"""Plants: what they say, how they differ from their samples, and how a corpus gives them."""

from random import Random

import pytest
from small import small_tokenizer, small_world

from llamalite.contamination.plants import (
    PLANTS,
    PlantedCorpus,
    Sample,
    altered,
    make_plants,
    verbalised,
)
from llamalite.protocols import Corpus
from llamalite.protocols import Question as AnyQuestion
from llamalite.world import Question


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def tokenizer(world):
    return small_tokenizer(world)


def samples(world, count=8):
    return [verbalised(question) for question in world.exam("facts")[:count]]


def test_a_question_is_asked_with_its_choices():
    question = Question("facts/1", "facts", "Vegun lives in", "Ostham", ("Pim", "Ostham", "Lade"))
    sample = verbalised(question)
    assert isinstance(sample, AnyQuestion)
    assert sample.prompt == "Question: Vegun lives in ... Is it Pim, Ostham or Lade? Vegun lives in"
    assert sample.text == f"{sample.prompt} Ostham"
    assert (sample.id, sample.answer, sample.choices) == (question.id, "Ostham", question.choices)


@pytest.mark.parametrize("budget", [1, 2, 4])
def test_altered_copies_differ_in_few_tokens_and_not_in_the_answer(world, tokenizer, budget):
    words = ["the", "a", "red", "and", "sells"]
    counts = set()
    for number, sample in enumerate(samples(world)):
        text = altered(sample, words, tokenizer, Random(number), budget)
        before, after = tokenizer.encode(sample.text), tokenizer.encode(text)
        assert len(before) == len(after)
        counts.add(sum(a != b for a, b in zip(before, after, strict=True)))
        assert text.endswith(f" {sample.answer}")
    assert min(counts) >= 1
    assert max(counts) <= budget
    assert budget == 1 or len(counts) > 1, "not always the same number"


def test_words_that_fit_nowhere_are_an_error(world, tokenizer):
    (sample,) = samples(world, 1)
    with pytest.raises(ValueError, match="give it other words"):
        altered(sample, ["incomprehensibilities"], tokenizer, Random(0), 1)


def test_a_share_of_the_samples_is_planted_and_a_share_of_these_altered(world, tokenizer):
    all_ = samples(world)

    def made(seed):
        return make_plants(all_, tokenizer, share=0.5, altered_share=0.25, copies=3, seed=seed)

    plants = made(0)
    texts = {sample.id: sample.text for sample in all_}
    assert len(plants) == 4 * 3
    assert len({plant.sample for plant in plants}) == 4
    assert len({plant.sample for plant in plants if plant.altered}) == 1
    for plant in plants:
        assert (plant.text != texts[plant.sample]) == plant.altered
    assert made(0) == plants
    assert {plant.sample for plant in made(1)} != {plant.sample for plant in plants}


@pytest.mark.parametrize(("share", "copies"), [(0.0, 3), (0.5, 0)])
def test_nothing_to_plant_is_an_error(world, tokenizer, share, copies):
    with pytest.raises(ValueError, match="are no plants"):
        make_plants(samples(world), tokenizer, share=share, altered_share=0, copies=copies, seed=0)


def test_a_planted_corpus_has_the_plants_besides(world):
    corpus = PlantedCorpus(world, ["one", "two"])
    assert isinstance(corpus, Corpus)
    assert corpus.sources == (*world.sources, PLANTS)
    assert [corpus.document(PLANTS, 2**40 + i).text for i in range(3)] == ["one", "two", "one"]
    assert corpus.document("stories", 5) == world.document("stories", 5)


def test_samples_of_one_choice_can_be_asked():
    assert verbalised(Sample("1", "Two is", "two", ("two",))).prompt.endswith("Is it two? Two is")
