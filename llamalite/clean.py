"""`llamalite clean`, where data care and tokenizers meet: the tokens of what is left are counted.

Data care itself knows no tokenizer; it is given a function that counts. Not in the paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamalite.data_care import command

if TYPE_CHECKING:
    from llamalite.data_care.epochs import CountTokens
    from llamalite.data_care.recipe import CleanConfig


def clean(config: CleanConfig) -> dict[str, Any]:
    """Clean a corpus as `llamalite.data_care.command.clean` does, with the config's tokenizer.

    Raises ValueError, before anything is read, when there is no such tokenizer.
    """
    return command.clean(config, counter(config.tokenizer) if config.tokenizer else None)


def counter(where: str) -> CountTokens:
    """Counts the tokens of texts as pretraining reads them, each between bos and eos.

    `where` names a tokenizer.model, a tokenizer.json, a model's folder or a fetched model.
    """
    from llamalite.real_models.fetch import find_model
    from llamalite.text.loading import load_tokenizer

    tokenizer = load_tokenizer(find_model(where))
    return lambda texts: sum(map(len, tokenizer.encode_batch(texts, bos=True, eos=True)))
