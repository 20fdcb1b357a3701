"""Loss on held-out documents, source by source. Llama 2, figure 5 and section 2.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from llamalite.evaluation.config import HELD_OUT_FROM
from llamalite.evaluation.scoring import perplexity, ratio_estimate, token_logprobs, windows
from llamalite.protocols import Corpus


def held_out_perplexity(
    model: Any,
    tokenizer: Any,
    corpus: Corpus,
    sources: Sequence[str],
    *,
    documents: int = 60,
    first: int = HELD_OUT_FROM,
    resamples: int = 1000,
) -> dict[str, dict[str, Any]]:
    """How well each source's unseen documents are foreseen.

    Per source `loss` (nats per token), `perplexity`, `bits_per_byte` and every document's sums.
    Documents come from indices that no training run reaches. The prediction of the final eos
    counts, as in training. Bits per byte do not depend on the tokenizer and so compare models
    with different ones; the paper compares none. Intervals are over documents.
    """
    texts = [(s, corpus.document(s, first + i).text) for s in sources for i in range(documents)]
    nats, tokens = document_nats(model, tokenizer, [text for _, text in texts])
    lengths = np.array([len(text.encode("utf-8")) for _, text in texts])
    result = {}
    for number, source in enumerate(sources):
        part = slice(number * documents, (number + 1) * documents)
        loss = ratio_estimate(nats[part], tokens[part], resamples)
        result[source] = {
            "loss": loss,
            "perplexity": round(perplexity(loss["mean"]), 4),
            "bits_per_byte": ratio_estimate(nats[part] / np.log(2), lengths[part], resamples),
            "items": [
                {"nats": round(float(n), 4), "tokens": int(t), "bytes": int(b)}
                for n, t, b in zip(nats[part], tokens[part], lengths[part], strict=True)
            ],
        }
    return result


def document_nats(
    model: Any, tokenizer: Any, texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Each document's surprise, nats, and its number of predicted tokens (all but bos).

    Documents longer than the context are read in windows that do not see one another.
    """
    rows, owners = [], []
    for number, text in enumerate(texts):
        ids = tokenizer.encode(text, bos=True, eos=True)
        for row in windows(ids, model.config.max_seq_len):
            rows.append(row)
            owners.append(number)
    nats, tokens = np.zeros(len(texts)), np.zeros(len(texts), dtype=int)
    for owner, logprobs in zip(owners, token_logprobs(model, rows), strict=True):
        nats[owner] -= logprobs.sum()
        tokens[owner] += len(logprobs)
    return nats, tokens
