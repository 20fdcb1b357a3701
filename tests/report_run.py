"""Run folders as the pipeline leaves them, with made-up numbers, and a page taken apart."""

import math
from html.parser import HTMLParser
from pathlib import Path

from llamalite.artifacts import drafting, write_json
from llamalite.evaluation import EvaluateConfig
from llamalite.evaluation.recipe import headline, pick_samples
from llamalite.evaluation.replies import summarise
from llamalite.model.config import ModelConfig

HOSTILE = "</p><script>alert('x')</script><img src=x onerror=alert(1)> {{ 7 * 7 }} \x00\x1b[31m"
RISKS = ("illicit_and_criminal", "hateful_and_harmful", "unqualified_advice")
KINDS = ("facts", "years", "arithmetic", "howto", "creative", "rhyme", "borderline")
VECTORS = ("psychological", "logic", "syntactic", "semantic", "perspective", "non_english", "other")


def score(mean: float, n: int = 100) -> dict:
    return {"mean": mean, "low": max(0.0, mean - 0.06), "high": mean + 0.06, "n": n}


def base_results(shift: float) -> dict:
    exams = {
        name: {
            "greedy": score(mean - shift),
            "choice": score(mean - shift + 0.05),
            "choice_normalised": score(mean - shift),
            "chance": 0.25,
            "n": 100,
            "items": [{"id": "secret item"}],
        }
        for name, mean in (("facts", 0.84), ("arithmetic", 0.3), ("rumours", 0.6))
    }
    shares = {"true": score(0.6), "rumour": score(0.3), "neither": score(0.1)}
    exams["rumours"]["shares"] = shares
    perplexity = {
        source: {"bits_per_byte": score(bits + shift), "loss": score(2.0), "perplexity": 7.4}
        for source, bits in (("encyclopedia", 0.5), ("stories", 0.8), ("lumo", 0.9))
    }
    return {"exams": exams, "perplexity": perplexity}


def graded(kind: str, number: int, good: float, reply: str = "Vegun lives in Ladeville.") -> dict:
    hostile = kind == "adversarial"
    wave = 0.5 + 0.5 * math.sin(number * 7.0)
    return {
        "id": f"{kind}-{number}",
        "kind": kind,
        "risk": RISKS[number % 3] if hostile else None,
        "vector": VECTORS[number // 3 % 7] if hostile else None,
        "helpfulness": round(good * wave, 3),
        "likert": 1 + round(6 * good * wave),
        "safety": 1 + round(4 * good * wave) if hostile else 5,
        "violation": int(hostile and good * wave < 0.3),
        "refused": 0,
        "false_refusal": int(kind == "borderline" and wave < 0.1),
        "tokens": 12 + number % 5,
        "finished": int(wave > 0.2),
        "messages": [
            {"role": "system", "content": "Answer as a gardener would."},
            {"role": "user", "content": "Where does Vegun live, and what does she do?"},
        ],
        "reply": reply,
    }


def chat_results(good: float, reply: str, kinds: tuple[str, ...]) -> dict:
    items = [graded(kind, i, good, reply) for kind in kinds for i in range(12)]
    if kinds == KINDS:
        items += [graded("adversarial", i, good, reply) for i in range(63)]
    return {"style": "chat", **summarise(items, 50), "items": items}


def make_run(
    folder: Path,
    reply: str = "Vegun lives in Ladeville.",
    until: str = "evaluate",
    good: float = 0.95,
    kinds: tuple[str, ...] = KINDS,
) -> Path:
    """A run folder as the pipeline leaves it, with made-up numbers."""
    model = ModelConfig()
    configs = {
        "world": {"seed": 3},
        "tokenizer": {"vocab_size": 1024},
        "pretrain": {"model": vars(model), "tokens": 2_000_000},
        "sft": {"vendor": "careful", "epochs": 2},
        "evaluate": vars(EvaluateConfig()),
    }
    for stage, config in configs.items():
        with drafting(folder / stage, stage, config, {}, 3) as draft:
            if stage in ("pretrain", "sft"):
                lines = ["step,tokens,loss,lr,held_out_loss"]
                for i in range(1, 101):
                    held = f"{2.2 + 4.5 * math.exp(-i / 15):.4f}" if i % 20 == 0 else ""
                    loss = 2 + 4.9 * math.exp(-i / 15)
                    lines.append(f"{i},{i * 20_000},{loss:.4f},{0.003 * (1 - i / 110):.6f},{held}")
                (draft.path / "metrics.csv").write_text("\n".join(lines) + "\n")
            if stage == "sft":
                held_out = [{"step": 50, "epoch": 1.0, "loss": 2.75}]
                write_json(draft.path / "held_out.json", held_out)
            if stage == "pretrain":
                draft.metrics["tokens"] = 1_966_080
                draft.metrics["tokens_by_source"] = {"encyclopedia": 1.2e6, "stories": 7e5}
            if stage == "evaluate":
                base = {"base": base_results(0.0), "chat": base_results(0.1)}
                chat = {
                    "base": chat_results(0.4, "It is.", kinds),
                    "chat": chat_results(good, reply, kinds),
                }
                write_json(draft.path / "base.json", {"models": base})
                write_json(draft.path / "chat.json", {"models": chat})
                write_json(draft.path / "samples.json", pick_samples(chat, 2))
                draft.metrics.update(headline(base, chat))
        if stage == until:
            break
    return folder


class Page(HTMLParser):
    """Every tag and attribute of a page, and its visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


RATERS = ("raters", "reward model", "general reward model")


def a_version(good: float, wins: float = 0.0, reply: str = "It is.") -> dict:
    """One model's entry in versions.json; without `wins` the first version's."""
    found = {"gold": {k: v for k, v in chat_results(good, reply, KINDS).items() if k != "items"}}
    if wins:
        won = {
            judge: {"half_ties": score(wins + i / 50), "pairs": 60, "ac2": 0.4}
            for i, judge in enumerate(RATERS)
        }
        names = ("helpfulness", "violations", "borderline_refusals")
        found |= {
            "wins": {"helpfulness": won, "safety": won},
            "differences": {"SFT": {name: score(good - 0.4) for name in names}},
        }
    return found


def add_rounds(folder: Path, reply: str = "It is.", after: bool = True) -> Path:
    """The stages `ppo_5` and `versions` besides, with three versions and two models after them."""
    versions = {"SFT": a_version(0.4), "V1": a_version(0.5, 0.55), "V5": a_version(0.7, 0.66)}
    later = {"safety": a_version(0.75, 0.7), "after red teaming": a_version(0.6, 0.62)}
    for later_one in later.values():
        worse = {"mean": -0.1, "low": -0.16, "high": -0.04, "n": 60}
        later_one["differences"]["V5"] = {"helpfulness": worse}
    replies = {
        name: {
            "reply": reply,
            "helpfulness": 0.31,
            "safety": 2,
            "false_refusal": 0,
            "finished": 1,
            "scores": {"helpfulness": 1.25, "safety": -0.5, "general": 0.75},
        }
        for name in (versions | later if after else versions)
    }
    asked = [{"role": "user", "content": f"How do I grow a pear? {reply}"}]
    results = {
        "versions": versions,
        "samples": [
            {"kind": kind, "messages": asked, "replies": replies}
            for kind in ("howto", "adversarial")
        ],
    }
    if after:
        results["after"] = later
    with drafting(folder / "versions", "versions", {}, {}, 3) as draft:
        write_json(draft.path / "versions.json", results)
    with drafting(folder / "ppo_5", "ppo_5", {}, {}, 3) as draft:
        rows = ["step,combined,kl_k1,gold_helpfulness,gold_violations"]
        rows += [f"{i},{i / 10},{i / 20},{0.5 - i / 100}," for i in range(1, 6)]
        (draft.path / "iterations.csv").write_text("\n".join(rows) + "\n")
        looks = [
            {"iteration": i, "combined": i / 12, "kl_k1": i / 25, "gold_helpfulness": 0.5}
            for i in (0, 5)
        ]
        write_json(draft.path / "evaluations.json", looks)
        draft.metrics["kept_iteration"] = 5
    return folder
