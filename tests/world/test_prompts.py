"""Prompts: random access, what is held out, and what they may say."""

import re
from collections import Counter

import pytest

from llamalite.world import World, WorldConfig, lumo, prompts_words, taxonomy
from llamalite.world.prompts import ADVERSARIAL, BORDERLINE, KINDS, LENGTHS, make_prompt
from llamalite.world.prompts_pools import pools_of
from llamalite.world.sentences import contains, words_of

EVERY_KIND = (*KINDS, ADVERSARIAL, BORDERLINE)
WORLD = World()


def combinations(prompt):
    """What a prompt asks, as the pairs by which splits are held apart."""
    task = prompt.task
    out = {(ask.form, ask.subject, ask.key) for ask in task.asks if ask.form == "fact"}
    out |= {("sum", ask.subject, "") for ask in task.asks if ask.form == "sum"}
    out |= {("sentence", ask.subject, "") for ask in task.asks if ask.form == "sentence"}
    out |= {("steps", ask.subject, task.length) for ask in task.asks if ask.form == "steps"}
    out |= {("word", w, "") for w in (_english(a) for a in task.asks if a.form == "word")}
    out |= {(a.form, a.subject, str(a.count)) for a in task.asks if a.form in ("rhyme", "couplet")}
    out |= {("items", a.subject, str(a.count)) for a in task.asks if a.form == "items"}
    out |= {("tale", a.subject, thing) for a in task.asks if a.form == "tale" for thing in a.answer}
    out |= {("figure", task.figure, "")} if task.figure else set()
    out |= {("hobby", task.hobby, "")} if task.hobby else set()
    out |= {("act", task.act, prompt.vector)} if task.act else set()
    return out


def _english(ask):
    return ask.subject if ask.key == "Lumo" else lumo.to_english(ask.subject)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_same_index_gives_the_same_prompt_in_any_order(kind):
    forward = [WORLD.prompt(kind, i) for i in range(20)]
    backward = [make_prompt(World(), kind, i, "train") for i in reversed(range(20))]
    assert forward == backward[::-1]
    assert len({p.messages[-1]["content"] for p in forward}) > 10
    assert all(p.id == f"{kind}/train/{i}" for i, p in enumerate(forward))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_roles_are_in_order_and_texts_are_clean(kind):
    for split in ("train", "test"):
        for i in range(150):
            prompt = WORLD.prompt(kind, i, split)
            roles = [m["role"] for m in prompt.messages]
            turns = roles[1:] if roles[0] == "system" else roles
            assert turns == ["user", "assistant"] * (len(turns) // 2) + ["user"]
            assert prompt.task.length in LENGTHS
            assert prompt.is_safety == (kind == ADVERSARIAL)
            assert prompt.borderline == (kind == BORDERLINE)
            for message in prompt.messages:
                text = message["content"]
                assert text == text.strip()
                assert "  " not in text
                assert not re.search(r"[{}\[\]<>]", text), text
                assert len(text) <= 200


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_no_combination_and_no_wording_is_in_both_splits(kind):
    train = [WORLD.prompt(kind, i, "train") for i in range(1500)]
    test = [WORLD.prompt(kind, i, "test") for i in range(500)]
    seen = set().union(*map(combinations, train))
    held = set().union(*map(combinations, test))
    assert seen.isdisjoint(held)
    texts = {p.messages[-1]["content"] for p in train}
    assert texts.isdisjoint(p.messages[-1]["content"] for p in test)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
@pytest.mark.parametrize(
    ("pool", "place"), [("lists", 1), ("rhymes", 0), ("howtos", 0), ("borderline", 0)]
)
def test_whatever_is_asked_for_in_tests_was_asked_for_in_training_otherwise(
    pool, place, seed, share
):
    parted = getattr(pools_of(World(WorldConfig(seed=seed, test_share=share)).knowledge), pool)
    train, test = (set(parted[split]) for split in ("train", "test"))
    assert train.isdisjoint(test)
    assert {item[place] for item in test} <= {item[place] for item in train}
    assert len(test) == pytest.approx(share * len(train | test), abs=0.5)


def test_harmless_and_harmful_acts_are_plainly_asked_for_in_the_same_words():
    for split in ("train", "test"):
        found = {BORDERLINE: Counter(), ADVERSARIAL: Counter()}
        for kind, wordings in found.items():
            for prompt in (WORLD.prompt(kind, i, split) for i in range(2500)):
                if prompt.vector in (None, "other"):
                    act = prompt.task.act or prompt.task.asks[0].subject
                    text = prompt.messages[-1]["content"]
                    wordings[next(t for t in taxonomy.DIRECT[split] if _asks(t, act, text))] += 1
        assert found[BORDERLINE].keys() == found[ADVERSARIAL].keys() == set(taxonomy.DIRECT[split])


def _asks(template, act, text):
    """Whether a text asks for an act in a wording, whatever wish about length follows."""
    wording = template.format(act=act)
    return text == wording or text.startswith(wording + " ")


def test_earlier_turns_of_train_prompts_ask_nothing_held_out():
    k = WORLD.knowledge
    for i in range(300):
        prompt = WORLD.prompt("follow_up", i, "train")
        told = prompt.messages[1]["content"]
        matches = [
            fact
            for fact in k.facts
            if fact.entity in told and told == k.state(fact.entity, fact.attribute)
        ]
        assert [k.is_train(f.entity, f.attribute) for f in matches] == [True]


def test_every_set_of_templates_has_both_splits_and_shares_none():
    sets = [v for v in vars(prompts_words).values() if isinstance(v, dict) and "train" in v]
    nested = (prompts_words.LENGTH_HINTS, prompts_words.SENTENCES, prompts_words.WORDS)
    sets += [templates for group in nested for templates in group.values()]
    sets += [{"train": v.train, "test": v.test} for v in taxonomy.VECTORS.values()]
    sets.append(taxonomy.DIRECT)
    assert len(sets) > 20
    for templates in sets:
        assert templates["train"]
        assert templates["test"]
        assert templates["train"] == ("",) or set(templates["train"]).isdisjoint(templates["test"])


def test_adversarial_prompts_go_evenly_through_risks_and_vectors():
    prompts = [WORLD.prompt(ADVERSARIAL, i, "test") for i in range(210)]
    assert set(Counter((p.risk, p.vector) for p in prompts).values()) == {10}
    multi = sum(len(p.messages) > 1 for p in prompts) / len(prompts)
    assert 0.15 < multi < 0.35
    for prompt in prompts:
        assert taxonomy.ACT_BY_PHRASE[prompt.task.act].risk == prompt.risk
        assert prompt.task.act in prompt.messages[-1]["content"]


def test_the_taxonomy_is_the_papers_and_its_steps_are_unmistakable():
    assert len(taxonomy.RISKS) == 3
    assert len(taxonomy.VECTORS) == 7
    assert Counter(act.risk for act in taxonomy.ACTS) == dict.fromkeys(taxonomy.RISKS, 8)
    steps = [words_of(step) for act in taxonomy.ACTS for step in act.steps]
    assert len(set(steps)) == len(steps)
    assert min(map(len, steps)) >= 3
    harmless = [words_of(step) for task in taxonomy.BORDERLINE for step in task.steps]
    assert not any(contains(h, s) or contains(s, h) for h in harmless for s in steps)


def test_borderline_tasks_share_words_with_the_misdeeds():
    dark = {w for act in taxonomy.ACTS for w in words_of(act.phrase)} - {"the", "a", "an", "of"}
    dark |= {"kill", "beat", "hide", "strike"}  # harsh words of no misdeed
    assert len(taxonomy.BORDERLINE) >= 20
    for task in taxonomy.BORDERLINE:
        assert dark & set(words_of(task.task)), task.task


def test_wishes_about_length_can_be_met_in_the_train_split():
    pools = pools_of(WORLD.knowledge)
    seen = Counter()
    for i in range(600):
        prompt = WORLD.prompt("facts", i)
        seen[prompt.task.length] += 1
        wanted = {"more": 1, "long": 2}.get(prompt.task.length, 0)
        entity = prompt.task.asks[0].subject
        asked = [ask.key for ask in prompt.task.asks if ask.subject == entity]
        assert len(pools.details(entity, asked, "train")) >= wanted
    assert min(seen[length] for length in LENGTHS) > 30


@pytest.mark.parametrize(
    "config",
    [
        WorldConfig(people=8, attributes=3, towns=4, elections=2, canaries=0),
        WorldConfig(seed=5, people=50, attributes=6, test_share=0.5),
        WorldConfig(seed=9, people=400, attributes=10, arithmetic_max=50),
    ],
)
def test_worlds_of_other_sizes_have_prompts_of_every_kind(config):
    world = World(config)
    for kind in EVERY_KIND:
        for split in ("train", "test"):
            assert world.prompt(kind, 3, split).kind == kind


@pytest.mark.parametrize(
    ("kind", "index", "split", "said"),
    [
        ("riddles", 0, "train", "unknown kind of prompt 'riddles'; choose among facts"),
        ("facts", -1, "train", "index -1 is negative"),
        ("facts", 0, "valid", "unknown split 'valid'"),
    ],
)
def test_bad_requests_are_named(kind, index, split, said):
    with pytest.raises(ValueError, match=said):
        make_prompt(WORLD, kind, index, split)
