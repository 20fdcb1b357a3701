"""The chapter's byte-pair encoding in JavaScript: the same ids as SentencePiece, text for text."""

import json
import random
import shutil
import subprocess
from importlib.resources import files

import pytest

from llamalite.text.tokenizer import TAGS, Tokenizer

NODE = shutil.which("node")
TEXTS = (
    "The mill stands by the river, as in 1887.",
    "  two  spaces\tand a tab ",
    "naïve café 🦙🦙 你好",
    "▁ is no space, and ▁▁ neither",
    "[INST] a tag [/INST]and <<SYS>>[INST",
    "<0x41> <s> </s> <unk>",
    "",
    " ",
)


@pytest.fixture(scope="module")
def tokenizer():
    draw = random.Random(0)
    words = [
        "the",
        "mill",
        "river",
        "stands",
        "winter",
        "bread",
        "stone",
        "house",
        "[INST]",
        "café",
    ]
    lines = [" ".join(draw.choices(words, k=9)) + draw.choice([".", "!", " 42"]) for _ in range(90)]
    return Tokenizer.train([*lines, "  two  spaces  "], 330)


@pytest.mark.skipif(NODE is None, reason="no Node found")
def test_the_page_spells_every_text_as_sentencepiece_does(tokenizer):
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    first = pieces.index("<0xFF>") + 1
    joins = sum(len(piece) > 1 for piece in pieces[first:])
    data = {"pieces": pieces, "tags": list(TAGS), "first": first, "joins": joins}
    draw = random.Random(1)
    letters = "the mill rivst.42 café🦙▁<>[]INST/"
    texts = [*TEXTS, *("".join(draw.choices(letters, k=draw.randint(1, 40))) for _ in range(300))]
    template = (files("llamalite.book") / "templates" / "bpe.html").read_text(encoding="utf-8")
    algorithm = template.split("<script>")[1].split("// the page")[0]
    program = (
        f"const data = {json.dumps(data)};\n{algorithm}\nconst texts = {json.dumps(texts)};"
        "console.log(JSON.stringify(texts.map(text => bpe(text, data.joins).map(each => each.id))))"
    )
    done = subprocess.run([NODE, "-"], input=program, capture_output=True, text=True, check=True)
    for text, ids in zip(texts, json.loads(done.stdout), strict=True):
        assert ids == tokenizer.encode(text), text
