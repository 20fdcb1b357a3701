"""A llamalite checkpoint as a model of lm-eval: every request is answered by our own code.

Tokens, cuts and BOS are those of lm-eval's Hugging Face backend, so that scores compare with what
others publish: a context too long loses its beginning (and its BOS); rolling windows do not
overlap; a SentencePiece vocabulary puts BOS before every text, a byte-level one does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from rich.console import Console

from llamalite.evaluation.scoring import BATCH_TOKENS, token_scores
from llamalite.harness.chat_text import chat_text
from llamalite.model.config import SamplingConfig
from llamalite.model.generate import generate
from llamalite.progress_bar import progress_shown
from llamalite.real_models.folder import open_model
from llamalite.text.bpe import ByteTokenizer

NAME = "llamalite"
"""What lm-eval calls the model: lm-eval --model llamalite --model_args path=FOLDER."""
LONGEST_ANSWER = 256
"""Tokens a task may write that names no number, as in the Hugging Face backend."""
_UNDERSTOOD = {"until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k"}


class LlamaliteLM(TemplateLM):
    """Answers lm-eval's three kinds of requests, in batches.

    `path` is a model folder (or give `model` and `tokenizer`). `batch_size` sequences are scored or
    written at once ("auto": as many as is usual here). `add_bos_token` overrides the vocabulary's
    custom, `max_length` the model's context.
    """

    def __init__(
        self,
        path: str = "",
        *,
        model: Any = None,
        tokenizer: Any = None,
        batch_size: int | str = "auto",
        device: str | None = None,
        max_length: int | None = None,
        add_bos_token: bool | None = None,
        max_batch_size: int | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> None:
        super().__init__()
        if model is None or tokenizer is None:
            model, tokenizer = _load(path, device)
        self.path = path
        self.model = model.eval()
        self.words = tokenizer  # `tokenizer` is Hugging Face's wherever lm-eval looks for one
        self._device = next(model.parameters()).device
        context = model.config.max_seq_len
        self.max_length = int(max_length or context)
        if not 2 <= self.max_length <= context:
            raise ValueError(
                f"max_length is {self.max_length}; the model's context allows 2 to {context}"
            )
        if str(batch_size).startswith("auto"):
            batch_size = max_batch_size or 0
        self.batch_size = int(batch_size) or None
        byte_level = isinstance(tokenizer, ByteTokenizer)
        self.add_bos_token = not byte_level if add_bos_token is None else add_bos_token
        self.seed = seed
        self.progress = progress

    # --- text and tokens -------------------------------------------------------------------------

    @property
    def eot_token_id(self) -> int:
        """What ends a text."""
        return self.words.eos_id

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has nothing before it."""
        return self.words.bos_id

    @property
    def tokenizer_name(self) -> str:
        """For lm-eval's caches of requests."""
        return f"{NAME}-{self.words.fingerprint[:16]}"

    @cached_property
    def _control(self) -> dict[str, int]:
        """Control tokens by their names, which are read as such in text, as in a chat's."""
        ids = {self.words.bos_id, self.words.eos_id, getattr(self.words, "start_id", -1)} - {-1}
        return dict(zip(self.words.pieces(ids), ids, strict=True))

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        """Ids of a text, BOS first where that is the custom and it does not stand there already."""
        [begin] = self.words.pieces([self.words.bos_id])
        bos = add_special_tokens
        if bos is None:
            bos = self.add_bos_token and not string.startswith(begin)
        ids = [self.words.bos_id] if bos else []
        for part in re.split(f"({'|'.join(map(re.escape, self._control))})", string):
            if part:
                ids += [self._control[part]] if part in self._control else self.words.encode(part)
        return ids

    def apply_chat_template(
        self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A dialogue in the model's format; without a prompt, its last answer is left open."""
        return chat_text(self.words, chat_history, add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The format's name, for lm-eval's records."""
        return "ChatML" if isinstance(self.words, ByteTokenizer) else "Llama 2"

    # --- requests --------------------------------------------------------------------------------

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """(log-likelihood in nats, whether greedy decoding writes it) of each continuation."""
        for request in requests:
            context, continuation = _arguments(request)
            if not continuation:
                raise ValueError(
                    f"a request of task {request.task_name!r} has an empty continuation after "
                    f"{context[-40:]!r}; give the task a target that is not empty"
                )
        return super().loglikelihood(requests, disable_tqdm=True)

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        rows, starts = [], []
        for _text, context, continuation in requests:
            if len(continuation) > self.max_length:
                raise ValueError(
                    f"a continuation of {len(continuation)} tokens does not fit a context of "
                    f"{self.max_length}; take a model with a longer one, or another task"
                )
            row = (context + continuation)[-(self.max_length + 1) :]
            rows.append(row)
            starts.append(len(row) - len(continuation))
        longest = max(map(len, rows), default=0)
        tokens = self.batch_size * longest if self.batch_size else BATCH_TOKENS
        with self._shown():
            found = token_scores(self.model, rows, starts, tokens)
        answers = [(float(each.logprobs.sum()), bool(each.likeliest.all())) for each in found]
        for (text, _context, _continuation), answer in zip(requests, answers, strict=True):
            if text is not None:
                self.cache_hook.add_partial("loglikelihood", text, answer)
        return answers

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-likelihood (nats) of whole texts, however long, in windows that do not overlap."""
        windows, owners = [], []
        for number, request in enumerate(requests):
            ids = self.tok_encode(request.args[0])
            for window in get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, 1):
                context, continuation = make_disjoint_window(window)
                windows.append((None, context, continuation))
                owners.append(number)
        totals = [0.0] * len(requests)
        for owner, (nats, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            totals[owner] += nats
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """What the model writes after each context, up to the first stop string."""
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(repr(_arguments(request)[1]), []).append(number)
        texts = [""] * len(requests)
        for numbers in groups.values():
            settings = _arguments(requests[numbers[0]])[1]
            contexts = [_arguments(requests[number])[0] for number in numbers]
            for number, text in zip(numbers, self._write(contexts, settings), strict=True):
                texts[number] = text
                self.cache_hook.add_partial("generate_until", requests[number].args, text)
        return texts

    def _write(self, contexts: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
        """Continuations of contexts that share their settings."""
        sampling, stops = self._sampling(settings)
        room = self.max_length - sampling.max_new_tokens
        prompts = [(self.tok_encode(each) or [self.prefix_token_id])[-room:] for each in contexts]

        def enough(ids: list[int]) -> bool:
            text = self.words.decode(ids)
            return any(stop in text for stop in stops)

        with self._shown():
            found = generate(
                self.model,
                prompts,
                sampling,
                eos_id=self.words.eos_id,
                seed=self.seed,
                batch_size=self.batch_size,
                enough=enough if stops else None,
            )
        texts = [self.words.decode(completion.ids) for (completion,) in found]
        [end] = self.words.pieces([self.words.eos_id])  # spelled out it cuts too, as in lm-eval's
        return [postprocess_generated_text(text, [*stops, end], None) for text in texts]

    def _sampling(self, settings: Mapping[str, Any]) -> tuple[SamplingConfig, list[str]]:
        """A task's generation settings as ours, with its stop strings."""
        default = min(LONGEST_ANSWER, self.max_length // 2)
        told: dict[str, Any] = dict(normalize_gen_kwargs(dict(settings), default))
        unknown = sorted(set(told) - _UNDERSTOOD)
        if unknown:
            raise ValueError(
                f"the task asks for generation with {', '.join(unknown)}; "
                f"only {', '.join(sorted(_UNDERSTOOD))} can be had"
            )
        longest = told["max_gen_toks"]
        if longest >= self.max_length:
            raise ValueError(
                f"the task writes up to {longest} tokens, which leaves no room for a question in a "
                f"context of {self.max_length}; take a model with a longer one, or set max_gen_toks"
            )
        sampling = SamplingConfig(
            max_new_tokens=longest,
            temperature=told.get("temperature", 0.0) if told["do_sample"] else 0.0,
            top_p=told.get("top_p", 1.0),
            top_k=told.get("top_k", 0),
        )
        return sampling, [stop for stop in told["until"] if stop]

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval notes about a model beside its results."""
        parameters = list(self.model.parameters())
        return {
            "model_num_parameters": sum(each.numel() for each in parameters),
            "model_dtype": str(parameters[0].dtype),
        }

    def _shown(self) -> AbstractContextManager[None]:
        """Progress on the standard error, where it is wanted: lm-eval prints its tables."""
        return progress_shown("benchmark", Console(stderr=True)) if self.progress else nullcontext()


register_model(NAME)(LlamaliteLM)  # as a decorator it would hide the class's arguments


def _arguments(request: Instance) -> Any:
    """What a request asks: lm-eval's own types are too narrow."""
    return request.args


def _load(path: str, device: str | None) -> tuple[Any, Any]:
    """Model and tokenizer of a folder, ours or Hugging Face's; ValueError names what is missing."""
    if not path:
        raise ValueError(f"model {NAME} needs --model_args path=FOLDER, a model folder")
    opened = open_model(path)
    if device and (torch.cuda.is_available() or not device.startswith("cuda")):
        opened.model.to(device)  # lm-eval's command line asks for cuda:0 wherever it runs
    return opened.model, opened.tokenizer
