"""The iterations of PPO: sample, score, reward, advantages, updates. Llama 2, section 3.2.3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from llamalite import parallel
from llamalite.model.checkpoint import write_safetensors
from llamalite.model.compiled import sampling_decoder
from llamalite.model.config import ModelConfig, SamplingConfig
from llamalite.model.generate import generate
from llamalite.ppo.advantages import Moments, explained_variance, generalised_advantages, whiten
from llamalite.ppo.config import PPOConfig
from llamalite.ppo.loss import (
    adapted_beta,
    kl_k1,
    kl_k3,
    masked_mean,
    penalise_missing_eos,
    token_rewards,
)
from llamalite.ppo.module import PPOModule
from llamalite.ppo.rollout import MiniBatch, Trajectory, collate, join, per_action
from llamalite.ppo.sharding import consolidated, from_all
from llamalite.protocols import Grader, Prompt
from llamalite.resume import MetricsTable
from llamalite.scoring import Scoring, combined, score_replies
from llamalite.shapes import Float, Tensor
from llamalite.text.tokenizer import Tokenizer


class Task(NamedTuple):
    """What PPO is about, the same in every process."""

    model: ModelConfig
    tokenizer: Tokenizer
    prompts: Sequence[Prompt]
    held_out: Sequence[Prompt]
    encoded: dict[str, list[int]]
    """Token ids of all prompts, by id."""
    scoring: Scoring
    grader: Grader | None
    """Knows the truth; only for the logs."""
    seed: int


class Sampled(NamedTuple):
    """Replies to some prompts, scored; the whole batch, in every process."""

    prompts: list[Prompt]
    replies: list[str]
    trajectory: Trajectory
    scores: dict[str, list[float]]
    combined_B: Tensor
    """Logit of R_c, not whitened."""

    def kl(self) -> Float[Tensor, " B"]:
        """KL from the reference, nats a reply, estimated by k1."""
        one, mask_BR = self.trajectory, self.trajectory.mask()
        return torch.where(mask_BR, kl_k1(one.logprobs_BR, one.reference_BR), 0.0).sum(1)


class Iterations:
    """The stream of gradient steps (see `llamalite.resume`), each iteration's made when it is due.

    Its state holds the replies being learned from, so that a resumed run goes on within an
    iteration.
    """

    def __init__(
        self,
        config: PPOConfig,
        task: Task,
        module: PPOModule,
        reference: torch.nn.Module,
        *,
        rank: int,
        world: int,
        work: Path,
        table: Path | None,
    ) -> None:
        self.config, self.task, self.module, self.reference = config, task, module, reference
        self.rank, self.world, self.work, self.table = rank, world, work, table
        self.next = 0
        self.batch: MiniBatch | None = None
        self.beta = config.beta
        self.moments = Moments()
        self.evaluations: list[dict[str, Any]] = []

    # --- the algorithm ---------------------------------------------------------------------------
    def __iter__(self) -> Iterator[list[MiniBatch]]:
        config = self.config
        log = MetricsTable(self.table, -(-self.next // config.updates)) if self.table else None
        while self.next < config.iterations * config.updates and not self.stopped:
            iteration, update = divmod(self.next, config.updates)
            if update == 0:
                self.evaluate(iteration)
                if self.stopped:
                    return
                self.batch, row = self.iterate(iteration)
                if log:
                    log.log_metrics(row, iteration + 1)
            assert self.batch is not None
            self.next += 1
            yield self.mini_batch(self.batch, iteration, update)

    def iterate(self, iteration: int) -> tuple[MiniBatch, dict[str, Any]]:
        """All of an iteration but its gradient steps: what they learn from, and a row to log."""
        config = self.config
        # 1. one reply to each prompt by the present policy; log-probabilities of its tokens under
        #    it and the reference, the values expected, and the reward models' scores
        sampled = self.sample(self.draw(iteration), [self.task.seed, 4, iteration])
        one, mask_BR = sampled.trajectory, sampled.trajectory.mask()
        # 2. R~c: whitened, held within limits, less for a reply without an end
        scores_B = penalise_missing_eos(
            self.whitened(sampled.combined_B), one.finished_B, config.missing_eos_penalty
        )
        # 3. R = R~c - beta KL, spread over tokens (eq. 4)
        kl_BR = kl_k1(one.logprobs_BR, one.reference_BR)
        rewards_BR = token_rewards(scores_B, kl_BR, mask_BR, self.beta)
        # 4. how much better each token was than expected
        found = generalised_advantages(
            rewards_BR, one.values_BR, mask_BR, config.gamma, config.gae_lambda
        )
        batch = MiniBatch(
            one.tokens_BT,
            one.prompt_lengths_B,
            one.replies(),
            mask_BR,
            one.logprobs_BR,
            one.values_BR,
            whiten(found.advantages_BR, mask_BR),
            found.returns_BR,
        )
        # 5. the gradient steps follow, one a mini-batch (`mini_batch`, `PPOModule`)
        row = self.summary(sampled) | {
            "beta": self.beta,
            "whitened_score": float(scores_B.mean()),
            "reward": float(rewards_BR.sum(1).mean()),
            "explained_variance": explained_variance(one.values_BR, found.returns_BR, mask_BR),
        }
        # 6. next time's beta, if it adapts
        if config.target_kl:
            self.beta = adapted_beta(
                self.beta, row["kl_k1"], config.target_kl, config.horizon, config.batch_size
            )
        return batch, row

    # --- its parts -------------------------------------------------------------------------------
    def draw(self, iteration: int) -> list[Prompt]:
        """An iteration's prompts: every prompt once in an order of its own, then again."""
        prompts, size = self.task.prompts, self.config.batch_size
        chosen = []
        for place in range(iteration * size, (iteration + 1) * size):
            turn, within = divmod(place, len(prompts))
            order = np.random.default_rng([self.task.seed, 3, turn]).permutation(len(prompts))
            chosen.append(prompts[order[within]])
        return chosen

    def sample(self, prompts: list[Prompt], seed: list[int]) -> Sampled:
        """One reply to each prompt, measured; each process does its share and all know all."""
        size = -(-len(prompts) // self.world)
        own = prompts[self.rank * size : (self.rank + 1) * size] or prompts[:1]
        encoded = [self.task.encoded[prompt.id] for prompt in own]
        tokenizer, model, device = self.task.tokenizer, self.module.model, self.module.device
        number = int(np.random.SeedSequence([*seed, self.rank]).generate_state(1)[0])
        machine, limit = self.module.parallel, self.config.max_new_tokens
        tokens = self.config.iterations * self.config.batch_size * limit
        with consolidated(model.policy, self.task.model, machine.sharded) as whole:
            completions = [
                completion
                for (completion,) in generate(
                    sampling_decoder(whole, machine.compile, tokens),
                    encoded,
                    SamplingConfig(max_new_tokens=limit),
                    eos_id=tokenizer.eos_id,
                    seed=number,
                )
            ]
        replies = [tokenizer.decode(completion.ids).strip() for completion in completions]
        finished = [completion.finished for completion in completions]
        scores = score_replies(self.task.scoring, own, replies, finished)
        trajectory = self.measured(collate(encoded, completions, tokenizer.eos_id), device)
        parts = from_all((replies, scores, trajectory), self.rank)
        keep = len(prompts)  # a process without a share of its own repeated the first prompt
        replies = [reply for part in parts for reply in part[0]][:keep]
        scores = {name: [s for part in parts for s in part[1][name]][:keep] for name in scores}
        trajectory = Trajectory(*(each[:keep] for each in join([part[2] for part in parts])))
        combined_B = combined(self.task.scoring, scores, prompts, replies)
        return Sampled(prompts, replies, trajectory, scores, combined_B)

    def measured(self, trajectory: Trajectory, device: torch.device) -> Trajectory:
        """With reference and values; the policy's log-probabilities stay the generator's, unless
        training computes in less than 32 bits, whose rounding must be in both terms of a ratio."""
        model, at_once = self.module.model, self.config.forward_batch
        accelerator = parallel.pick_accelerator(self.module.parallel)
        exact = parallel.pick_precision(self.module.parallel, accelerator) == "fp32"
        with self.module.trainer.precision_plugin.forward_context():
            reference_BR = per_action(trajectory, lambda *x: self.reference(*x)[0], device, at_once)
            values_BR = per_action(
                trajectory, lambda t, p, r: model.value(t, p, r.shape[1]), device, at_once
            )
            logprobs_BR = trajectory.logprobs_BR
            if not exact:
                logprobs_BR = per_action(
                    trajectory, lambda *x: model.policy(*x)[0], device, at_once
                )
        return trajectory._replace(
            logprobs_BR=logprobs_BR, reference_BR=reference_BR, values_BR=values_BR
        )

    def whitened(self, scores_B: Tensor) -> Tensor:
        """WHITEN of eq. 4 by the statistics that the config names."""
        if self.config.whitening == "none":
            return scores_B
        if self.config.whitening == "batch":
            self.moments = Moments().with_values(scores_B)
        elif self.config.whitening == "running" or not self.moments.count:
            self.moments = self.moments.with_values(scores_B)
        return self.moments.whitened(scores_B, self.config.score_limit)

    def mini_batch(self, batch: MiniBatch, iteration: int, update: int) -> list[MiniBatch]:
        """This process's share of a gradient step, in parts; each epoch has an order of its own."""
        config, size = self.config, self.config.mini_batch_size
        epoch, within = divmod(update, config.batch_size // size)
        dice = np.random.default_rng([self.task.seed, 5, iteration, epoch])
        rows = dice.permutation(config.batch_size)[within * size : (within + 1) * size]
        own = rows[self.rank :: self.world].tolist()
        part = len(own) // config.accumulation
        return [batch.rows(own[i : i + part]) for i in range(0, len(own), part)]

    # --- measures --------------------------------------------------------------------------------
    def summary(self, sampled: Sampled) -> dict[str, Any]:
        """What the replies were like: means over replies, or over tokens where said."""
        one, mask_BR = sampled.trajectory, sampled.trajectory.mask()
        k3_BR = torch.where(mask_BR, kl_k3(one.logprobs_BR, one.reference_BR), 0.0)
        row = {f"score_{name}": float(np.mean(s)) for name, s in sampled.scores.items()}
        row |= {
            "combined": float(sampled.combined_B.mean()),
            "kl_k1": float(sampled.kl().mean()),
            "kl_k3": float(k3_BR.sum(1).mean()),
            # of the sampled tokens: an estimate of the entropy, nats a token
            "entropy": float(masked_mean(-one.logprobs_BR, mask_BR)),
            "reply_tokens": float(one.reply_lengths_B.float().mean()),
            "eos_rate": float(one.finished_B.float().mean()),
        }
        return row | self.truth(sampled)

    def truth(self, sampled: Sampled) -> dict[str, Any]:
        """Gold grades, when there is a grader: for plots, never for learning or stopping."""
        if self.task.grader is None or self.rank:
            return {}
        pairs = zip(sampled.prompts, sampled.replies, strict=True)
        graded = [(p.is_safety, self.task.grader.grade(p, reply)) for p, reply in pairs]
        helpful = [grade.helpfulness for is_safety, grade in graded if not is_safety]
        violations = [grade.violation for is_safety, grade in graded if is_safety]
        mean = lambda values: float(np.mean(values)) if values else None  # noqa: E731
        return {"gold_helpfulness": mean(helpful), "gold_violations": mean(violations)}

    def evaluate(self, iteration: int) -> None:
        """Measure the policy after `iteration` iterations on held-out prompts, if it is time.

        The objective is eq. 4 with the scores whitened by those of the first policy and with
        `config.beta`, also where training adapts beta. What training takes off or adds besides does
        not count in it: no limit of the scores, and no penalty for a reply without its end.
        """
        every, last = self.config.evaluate_every, self.config.iterations
        due = every and (iteration % every == 0 or iteration == last)
        if not due or iteration in [point["iteration"] for point in self.evaluations]:
            return
        sampled = self.sample(list(self.task.held_out), [self.task.seed, 6])
        scores_B = sampled.combined_B
        first = self.evaluations[0] if self.evaluations else None
        moments = Moments(*first["moments"]) if first else Moments().with_values(scores_B)
        kl = float(sampled.kl().mean())
        objective = float(moments.whitened(scores_B, 0.0).mean()) - self.config.beta * kl
        best = max((point["objective"] for point in self.evaluations), default=-float("inf"))
        point = {"iteration": iteration, "objective": objective, "moments": list(moments)}
        self.evaluations.append(point | self.summary(sampled))
        if objective > best:
            weights = parallel.full_weights(self.module.model.policy.transformer)
            if self.rank == 0 and weights:
                write_safetensors(self.best_file(iteration), weights)
                known = 1 + self.module.parallel.keep_checkpoints
                for old in sorted(self.work.glob("best-*.safetensors"))[:-known]:
                    old.unlink()  # each resume state may know only of the one before

    def finish(self) -> None:
        """Measure the last policy too, unless the run was stopped early."""
        if not self.stopped:
            self.evaluate(self.config.iterations)

    def best_file(self, iteration: int) -> Path:
        """Where the best policy so far waits for the end."""
        return self.work / f"best-{iteration:06d}.safetensors"

    @property
    def best(self) -> int | None:
        """The iteration after which the held-out objective was highest, None if never measured."""
        if not self.evaluations:
            return None
        return max(self.evaluations, key=lambda point: point["objective"])["iteration"]

    @property
    def stopped(self) -> bool:
        """Whether the last `patience` looks brought nothing better."""
        since = [p["iteration"] > self.best for p in self.evaluations if self.best is not None]
        return sum(since) >= self.config.patience

    # --- resume ----------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        assert self.batch is not None
        return {
            "next": self.next,
            "batch": list(self.batch),
            "beta": self.beta,
            "moments": list(self.moments),
            "evaluations": list(self.evaluations),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.next, self.beta = state["next"], state["beta"]
        self.batch, self.moments = MiniBatch(*state["batch"]), Moments(*state["moments"])
        self.evaluations = list(state["evaluations"])
