"""Drawing pairs and having them judged, with models that are a few lines of Python."""

from collections import Counter

import pytest

from llamalite.preferences.collection import Variant, collect, draw_pairs, left_of
from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.prompts import choose_prompts
from llamalite.preferences.store import PreferenceStore
from llamalite.world import Annotator, World, WorldConfig

CONFIG = PreferencesConfig(helpfulness=60, safety=40, prompts_at_once=16, annotators=3)


@pytest.fixture(scope="module")
def world():
    return World(WorldConfig(people=12, canaries=0))


def speaker(version, text="{version} at {temperature} says {seed} {index}"):
    """A model that tells how it was asked."""

    def generate(prompts, temperature, seed):
        return [
            (text.format(version=version, temperature=temperature, seed=seed, index=i), i % 2 == 0)
            for i in range(len(prompts))
        ]

    return Variant(version, f"hash of {version}", generate)


def drawn(world, variants, config=CONFIG, guideline="helpfulness", seed=(0,)):
    prompts = choose_prompts(world, config, guideline)
    return draw_pairs(variants, prompts, guideline, config.batch, config, seed)


def test_every_pair_is_by_two_models_at_two_temperatures(world):
    items = drawn(world, [speaker("V1"), speaker("SFT")]).items
    assert len(items) == 60
    for item in items:
        assert {item.a.version, item.b.version} == {"V1", "SFT"}
        assert {item.a.temperature, item.b.temperature} == {0.9, 1.1}
    seats = Counter((item.a.version, item.a.temperature) for item in items)
    assert len(seats) == 4  # which stands where is left to chance
    assert min(seats.values()) >= 5


def test_where_a_reply_comes_from_is_what_the_model_was_asked(world):
    for item in drawn(world, [speaker("V1"), speaker("SFT")]).items:
        for reply in (item.a, item.b):
            told = f"{reply.version} at {reply.temperature} says {reply.seed} {reply.index}"
            assert reply.text == told
            assert reply.model == f"hash of {reply.version}"
            assert reply.finished == (reply.index % 2 == 0)


def test_one_model_is_compared_with_itself_at_another_temperature(world):
    for item in drawn(world, [speaker("SFT")]).items:
        assert (item.a.version, item.b.version) == ("SFT", "SFT")
        assert item.a.temperature != item.b.temperature


def test_a_share_of_pairs_can_be_by_the_newest_alone(world):
    config = PreferencesConfig(helpfulness=200, safety=0, previous_share=0.25)
    items = drawn(world, [speaker("V2"), speaker("V1")], config).items
    both = [item for item in items if item.a.version != item.b.version]
    assert 25 <= len(both) <= 75
    assert all("V1" not in (i.a.version, i.b.version) for i in items if i not in both)


def test_the_same_seed_gives_the_same_pairs_and_another_does_not(world):
    variants = [speaker("V1"), speaker("SFT")]
    assert drawn(world, variants) == drawn(world, variants)
    assert drawn(world, variants) != drawn(world, variants, seed=(1,))


def test_replies_that_are_the_same_are_drawn_again_and_left_out_if_they_stay_so(world):
    found = drawn(world, [speaker("V1", "Yes."), speaker("SFT", "Yes.")])
    assert found.items == []
    assert {why for _, why in found.left_out} == {"the two replies are the same"}
    assert len(found.left_out) == 60

    calls = []

    def moody(prompts, temperature, seed):
        calls.append(len(prompts))
        return [("Yes." if len(calls) < 4 else "No.", True) for _ in prompts]

    found = drawn(world, [Variant("V1", "", moody)])
    assert len(found.items) == 60
    assert len(calls) <= 8  # in batches by temperature, not prompt by prompt


def test_a_model_that_says_nothing_is_left_out(world):
    found = drawn(world, [speaker("V1"), speaker("SFT", " \n")])
    assert {why for _, why in found.left_out} == {"a reply is empty"}


def run(world, path, guideline="helpfulness", config=CONFIG, work=None, identities=range(3)):
    prompts = choose_prompts(world, config, guideline)
    people = [Annotator(world, number) for number in identities]
    with PreferenceStore(path) as store:
        found = collect(
            [honest(world), rude()], prompts, people, guideline, 1, config, store, work=work
        )
        return found, list(store.export()), store.counts(), list(store.export_set_aside())


def honest(world):
    """Replies on the prompt's own topic, so that annotators have something to see."""
    return Variant(
        "V1",
        "",
        lambda asked, t, s: [(f"I will not do it. {p[-1]['content']}", True) for p in asked],
    )


def rude():
    return Variant("SFT", "", lambda asked, t, s: [("Take it, you fool.", False)] * len(asked))


@pytest.mark.parametrize("guideline", ["helpfulness", "safety"])
def test_judgements_are_those_of_the_annotators_themselves(world, tmp_path, guideline):
    found, comparisons, counts, aside = run(world, tmp_path / "s.sqlite", guideline)
    assert counts.open == 0
    assert len(comparisons) + len(aside) == len(found.items)
    people = {f"simulated-{i}": Annotator(world, i) for i in range(3)}
    prompts = {p.id: p for p in choose_prompts(world, CONFIG, guideline)}
    for each in comparisons:
        said = people[each.annotator].compare(
            prompts[each.prompt_id], each.a.text, each.b.text, guideline
        )
        assert (each.choice, each.rating, each.safety_bin) == tuple(
            getattr(said, name) for name in ("choice", "rating", "safety_bin")
        )
    shares = Counter(each.annotator for each in comparisons) + Counter(a for _, a, _ in aside)
    assert max(shares.values()) - min(shares.values()) <= 1  # they take turns
    assert comparisons[0].time >= "2023-01-02T09:00:00Z"
    assert comparisons[-1].time <= "2023-01-07T09:00:00Z"


def test_unsafe_choices_against_safe_replies_are_set_aside(world, tmp_path):
    class Perverse:
        identity = 7

        def compare(self, prompt, a, b, guideline):
            from llamalite.world import Judgement

            return Judgement("a", "better", None if "fool" in a else "both safe")

    prompts = choose_prompts(world, CONFIG, "safety")
    with PreferenceStore(tmp_path / "s.sqlite") as store:
        models = [honest(world), rude()]
        found = collect(models, prompts, [Perverse()], "safety", 1, CONFIG, store)
        aside = list(store.export_set_aside())
        kept = list(store.export())
    assert len(aside) + len(kept) == len(found.items)
    assert aside
    assert all("fool" in each.item.a.text and "unsafe" in each.reason for each in aside)
    assert not any("fool" in each.chosen.text for each in kept)


def test_several_judge_a_pair_when_asked(world, tmp_path):
    config = PreferencesConfig(helpfulness=12, annotators=3, judgements_each=3)
    _, comparisons, _, _ = run(world, tmp_path / "s.sqlite", config=config)
    assert set(Counter(each.id for each in comparisons).values()) == {3}
    assert len({(each.id, each.annotator) for each in comparisons}) == 36


def test_cut_short_anywhere_it_goes_on_to_the_same_comparisons(world, tmp_path, monkeypatch):
    _, whole, _, _ = run(world, tmp_path / "whole.sqlite", "safety")
    work = tmp_path / "work"
    work.mkdir()
    asked = []
    monkeypatch.setattr(
        "llamalite.preferences.collection.draw_pairs",
        lambda *given: asked.append(len(given[1])) or draw_pairs(*given),
    )
    for calls in (0, 1, 20, 7):
        with monkeypatch.context() as patch:
            left = calls
            submit = PreferenceStore.submit

            def dying(self, comparison, submit=submit):
                nonlocal left
                if not left:
                    raise KeyboardInterrupt
                left -= 1
                submit(self, comparison)

            patch.setattr(PreferenceStore, "submit", dying)
            with pytest.raises(KeyboardInterrupt):
                run(world, tmp_path / "cut.sqlite", "safety", work=work)
    found, comparisons, counts, _ = run(world, tmp_path / "cut.sqlite", "safety", work=work)
    assert comparisons == whole
    assert counts.open == 0
    assert len(found.items) == 40
    assert sum(asked) == 40  # what had been drawn was not drawn again


def test_left_and_right_are_a_fair_coin_that_stays_as_it_fell(world):
    items = drawn(world, [speaker("V1"), speaker("SFT")]).items
    sides = [[left_of(item, f"p{i}") for item in items] for i in range(20)]
    assert sides == [[left_of(item, f"p{i}") for item in items] for i in range(20)]
    heads = sum(row.count("a") for row in sides)
    assert abs(heads - 600) < 5 * (1200 * 0.25) ** 0.5
    assert len({tuple(row) for row in sides}) == 20


@pytest.mark.parametrize("guideline", ["helpfulness", "safety"])
@pytest.mark.parametrize("share", [None, 0.0, 0.3])
def test_prompts_are_of_the_guideline_and_as_many_as_asked(world, guideline, share):
    config = PreferencesConfig(helpfulness=80, safety=80, multi_turn_share=share, first_prompt=5)
    prompts = choose_prompts(world, config, guideline)
    kinds = Counter(prompt.kind for prompt in prompts)
    assert len(prompts) == len({prompt.id for prompt in prompts}) == 80
    assert kinds["borderline"] == 8
    assert (kinds["adversarial"] == 72) == (guideline == "safety")
    assert all(int(prompt.id.split("/")[-1]) >= 5 for prompt in prompts)
    assert all("/train/" in prompt.id for prompt in prompts)
    if share is not None:
        several = sum(len(prompt.messages) > 2 for prompt in prompts)
        assert several == share * 80
        half = sum(len(prompt.messages) > 2 for prompt in prompts[:40])
        assert abs(half - several / 2) <= 2  # spread over the list


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"batch": 0}, "batch"),
        ({"helpfulness": 0, "safety": 0}, "both 0"),
        ({"helpfulness": -1}, "helpfulness"),
        ({"test_share": 1.5}, "test_share"),
        ({"multi_turn_share": 2.0}, "multi_turn_share"),
        ({"temperatures": (1.0,)}, "two"),
        ({"temperatures": (1.0, 1.0)}, "different"),
        ({"temperatures": (1.0, float("nan"))}, "temperatures"),
        ({"judgements_each": 9}, "annotators"),
        ({"noise": -0.1}, "noise"),
        ({"top_p": 0.0}, "top_p"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(changes, named):
    with pytest.raises(ValueError, match=named):
        PreferencesConfig(**changes)
