"""Every model and every run on one screen, from a laptop's nano to the paper's 70B.

Model dimensions of 7B to 70B: the released configurations (the paper prints sizes, context, heads'
grouping and learning rates: table 1). The 34B was never released; its dimensions are those of Code
Llama 34B, its continuation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from llamalite.evaluation.config import EvaluateConfig
from llamalite.general_reward.config import GeneralRewardConfig
from llamalite.ghost_attention.config import GhostAttentionConfig
from llamalite.model.config import ModelConfig
from llamalite.ppo.config import PPOConfig
from llamalite.preferences.config import PreferencesConfig
from llamalite.pretraining.config import PretrainConfig
from llamalite.prose.config import ProseConfig
from llamalite.red_teaming.config import RedTeamConfig
from llamalite.rejection_sampling.config import RejectionSamplingConfig
from llamalite.reward.config import RewardConfig
from llamalite.rlhf.config import VersionsConfig
from llamalite.safety.config import SafetyConfig
from llamalite.sft.config import SFTConfig
from llamalite.text.config import TokenizerConfig
from llamalite.training_config import OptimizerConfig, ParallelConfig
from llamalite.world.config import MIXTURE, WorldConfig

_MINI = ModelConfig(
    vocab_size=1024, dim=128, n_layers=4, n_heads=4, n_kv_heads=2, head_dim=32, ffn_dim=352
)
_7B = ModelConfig(
    vocab_size=32_000,
    dim=4096,
    n_layers=32,
    n_heads=32,
    n_kv_heads=32,
    head_dim=128,
    ffn_dim=11_008,
    max_seq_len=4096,
)
_70B = replace(_7B, dim=8192, n_layers=80, n_heads=64, n_kv_heads=8, ffn_dim=28_672)

MODELS: dict[str, ModelConfig] = {
    # laptop sizes, one family: width and depth grow, the context stays
    "nano": replace(_MINI, dim=64, n_layers=3, n_heads=2, n_kv_heads=1, ffn_dim=176),
    "micro": replace(_MINI, dim=96, n_layers=3, head_dim=24, ffn_dim=256),
    "mini": _MINI,
    "small": replace(_MINI, dim=192, n_layers=6, n_heads=6, ffn_dim=512),
    "medium": replace(
        _MINI, vocab_size=2048, dim=288, n_layers=8, n_heads=6, head_dim=48, ffn_dim=768
    ),
    # one GPU
    "base": replace(
        _7B,
        dim=512,
        n_layers=8,
        n_heads=8,
        n_kv_heads=4,
        head_dim=64,
        ffn_dim=1408,
        max_seq_len=1024,
    ),
    # the paper's
    "7b": _7B,
    "13b": replace(_7B, dim=5120, n_layers=40, n_heads=40, n_kv_heads=40, ffn_dim=13_824),
    "34b": replace(_70B, n_layers=48, ffn_dim=22_016),
    "70b": _70B,
}


@dataclass(frozen=True)
class RunPreset:
    """Model, data and every stage's numbers at one scale."""

    name: str
    """What `--preset` calls it; the run folder is named after it."""
    about: str
    """One line for help and tables."""
    world: WorldConfig
    tokenizer: TokenizerConfig
    pretrain: PretrainConfig
    sft: SFTConfig
    evaluate: EvaluateConfig
    preferences: PreferencesConfig
    reward: RewardConfig
    rejection_sampling: RejectionSamplingConfig
    ppo: PPOConfig
    general_reward: GeneralRewardConfig
    versions: VersionsConfig
    ghost_attention: GhostAttentionConfig
    safety: SafetyConfig
    red_team: RedTeamConfig
    prose: ProseConfig
    stages: tuple[str, ...]
    """Kinds of stages it consists of; empty: the whole chain in the micro-world."""

    def config(self, kind: str) -> Any:
        """The settings of one kind of stage."""
        return getattr(self, kind)


_SMALL_REWARD = RewardConfig(
    batch_size=8,  # a small model learns most from each pair in small batches
    optimizer=OptimizerConfig(lr=5e-4, warmup_fraction=0.03, warmup_steps=5, final_lr_fraction=0.1),
)
_LAPTOP = RunPreset(
    name="laptop",
    about="1.0M parameters, two CPU cores, about 45 minutes",
    world=WorldConfig(),
    tokenizer=TokenizerConfig(mixture=MIXTURE),
    pretrain=PretrainConfig(
        model=MODELS["mini"],
        tokens=12_000_000,
        batch_size=16,  # a batch this small learns most from each token at these sizes
        mixture=MIXTURE,
        optimizer=OptimizerConfig(lr=3e-3, warmup_fraction=0.02),
    ),
    # writers of mixed quality: what they do differently is what reward models learn to tell apart
    sft=SFTConfig(
        vendor="mixed",
        batch_size=8,
        optimizer=OptimizerConfig(lr=5e-4, warmup_fraction=0.03),
    ),
    evaluate=EvaluateConfig(),
    # many harmless prompts that sound like mischief, or both reward models learn to like refusals;
    # the temperatures are near that of the replies the models will have to choose among
    preferences=PreferencesConfig(
        helpfulness=1300,
        safety=550,
        borderline_share=0.25,
        safety_borderline_share=0.3,
        temperatures=(0.5, 0.9),
    ),
    reward=_SMALL_REWARD,
    rejection_sampling=RejectionSamplingConfig(
        prompts=3000,
        candidates=4,
        borderline_share=0.2,
        temperatures=(0.5,),  # what is chosen of 8 at 1 is worth less than the mean at .7 (LOG)
        refit=SFTConfig(batch_size=8, optimizer=OptimizerConfig(lr=5e-4, warmup_fraction=0.03)),
    ),
    ppo=PPOConfig(
        iterations=40,
        batch_size=128,
        mini_batch_size=32,
        beta=0.15,
        evaluate_every=10,
        optimizer=OptimizerConfig(lr=1e-4, schedule="constant"),
        value_lr=1e-3,
    ),
    general_reward=GeneralRewardConfig(training=replace(_SMALL_REWARD, margin="none")),
    versions=VersionsConfig(),
    ghost_attention=GhostAttentionConfig(first_prompt=60_000),  # no round's prompts again
    safety=SafetyConfig(prompts=600),
    red_team=RedTeamConfig(),
    prose=ProseConfig(),
    stages=(),
)


def _ci() -> RunPreset:
    """The whole chain in some three minutes, for tests and notebooks."""
    return replace(
        _LAPTOP,
        name="ci",
        about="0.4M parameters, the whole chain in about 3 minutes on two CPU cores",
        world=WorldConfig(people=55, attributes=6, towns=8),
        tokenizer=replace(_LAPTOP.tokenizer, vocab_size=768, sample_documents=6_000),
        pretrain=replace(
            _LAPTOP.pretrain,
            model=replace(MODELS["micro"], vocab_size=768),
            tokens=1_400_000,  # too few to learn copying from: facts have the copybook's share
            mixture=MIXTURE | {"encyclopedia": 0.33, "copybook": 0.03},
            batch_size=8,
        ),
        sft=replace(_LAPTOP.sft, examples=800, batch_size=4),
        evaluate=replace(_LAPTOP.evaluate, exam_questions=100, prompts_per_kind=12),
        preferences=replace(_LAPTOP.preferences, helpfulness=160, safety=80),
        rejection_sampling=replace(
            _LAPTOP.rejection_sampling,
            prompts=96,
            refit=replace(_LAPTOP.rejection_sampling.refit, batch_size=4, epochs=2),
        ),
        ppo=replace(
            _LAPTOP.ppo,
            iterations=4,
            batch_size=32,
            mini_batch_size=16,
            held_out=32,
            evaluate_every=2,
        ),
        general_reward=replace(_LAPTOP.general_reward, pairs=160),
        versions=VersionsConfig(
            replies=replace(
                _LAPTOP.versions.replies,
                prompts_per_kind=4,
                adversarial_prompts=21,
                borderline_prompts=20,
            )
        ),
        ghost_attention=replace(
            _LAPTOP.ghost_attention,
            dialogues=40,
            turns=6,
            cuts=2,
            answers=2,
            max_new_tokens=40,
            sequence_length=384,
            tuning=replace(
                _LAPTOP.ghost_attention.tuning,
                held_out=10,
                sequence_length=384,
                optimizer=OptimizerConfig(lr=5e-4, warmup_fraction=0.03),
            ),
            measured_turns=6,
            measured_dialogues=8,
            attention_dialogues=3,
            resamples=200,
        ),
        safety=replace(_LAPTOP.safety, prompts=60, resamples=200),
        red_team=replace(
            _LAPTOP.red_team,
            attackers=8,
            attempts=6,
            prompts=84,
            feedback=replace(_LAPTOP.red_team.feedback, resamples=200),
        ),
    )


def _colab() -> RunPreset:
    """One T4: tens of millions of parameters in a larger micro-world (`pretrain.corpus` takes other
    text, from the hub too)."""
    return replace(
        _LAPTOP,
        name="colab",
        about="26M parameters on one GPU (T4 or better)",
        world=WorldConfig(people=400, attributes=10, towns=20),
        tokenizer=replace(_LAPTOP.tokenizer, vocab_size=2048),
        pretrain=replace(
            _LAPTOP.pretrain,
            model=replace(MODELS["base"], vocab_size=2048),
            tokens=60_000_000,
            sequence_length=1024,
            batch_size=64,
            accumulation=4,
            optimizer=OptimizerConfig(lr=6e-4, warmup_fraction=0.02),
        ),
        sft=replace(
            _LAPTOP.sft,
            examples=10_000,
            sequence_length=1024,
            optimizer=OptimizerConfig(lr=1e-4, warmup_fraction=0.03),
        ),
    )


def _english() -> RunPreset:
    """Prose out of packages instead of the micro-world: no truth, no grader, and so no rounds.

    Every stage keeps the same 100 documents of a source from its eyes; the chats' shares follow
    the sources' lengths, and 16M tokens are each read two or three times.
    """
    corpus = {name: f"packaged:{name}" for name in ("plays", "bible", "chats")}
    mixture = {"plays": 0.3, "bible": 0.2, "chats": 0.5}
    return replace(
        _LAPTOP,
        name="english",
        about="3.9M parameters on plays, scripture, chats; two CPU cores, over an hour",
        stages=("tokenizer", "pretrain", "sft", "prose"),
        tokenizer=TokenizerConfig(vocab_size=4096, corpus=corpus),
        pretrain=replace(
            _LAPTOP.pretrain,
            model=replace(MODELS["small"], vocab_size=4096),
            tokens=16_000_000,
            mixture=mixture,
            corpus=corpus,
            held_out=100,
        ),
        sft=replace(_LAPTOP.sft, data="packaged:chats", examples=1000, held_out=100),
    )


def _paper(name: str, lr: float, gpus: int, tensor_parallel: int) -> RunPreset:
    """A size of the paper at its own hyper-parameters (section 2.2, table 1; section 3.1).

    The layout is ours: the paper only says FSDP and, for the fastest decoding, 8 GPUs a model. A
    process holds one sequence (or pair) at a time, and each has prompts of its own to answer.
    """
    parallel = ParallelConfig(
        data_parallel=gpus // tensor_parallel,
        tensor_parallel=tensor_parallel,
        nodes=gpus // 8,
        precision="bf16",
        compile="on",
        activation_checkpointing=True,
        checkpoint_seconds=1800.0,
        keep_checkpoints=2,
    )
    model = MODELS[name]
    small = replace(parallel, data_parallel=64 // tensor_parallel, nodes=8)
    sft = SFTConfig(
        examples=27_540,
        sequence_length=4096,
        batch_size=64,
        accumulation=64 // small.data_parallel,
        optimizer=OptimizerConfig(lr=2e-5, warmup_fraction=0.03),
        parallel=small,
    )
    reward = RewardConfig(
        sequence_length=4096,
        accumulation=RewardConfig.batch_size // small.data_parallel,
        optimizer=replace(RewardConfig().optimizer, lr=5e-6 if name == "70b" else 1e-5),
        parallel=small,
    )
    safety = SafetyConfig(
        max_new_tokens=1000,
        prompts_at_once=SafetyConfig.prompts // small.processes,
        tuning=sft,
    )
    return RunPreset(
        name=name,
        about=f"the paper's {name.upper()}, {gpus} GPUs",
        world=WorldConfig(people=400, attributes=10, towns=20),
        tokenizer=TokenizerConfig(vocab_size=32_000, sample_documents=10_000_000),
        pretrain=PretrainConfig(
            model=model,
            tokens=2_000_000_000_000,
            sequence_length=4096,
            batch_size=1024,
            accumulation=1024 // parallel.data_parallel,
            optimizer=OptimizerConfig(lr=lr, warmup_steps=2000),
            parallel=parallel,
        ),
        sft=sft,
        evaluate=EvaluateConfig(exam_questions=0, max_new_tokens=1000),
        preferences=PreferencesConfig(
            max_new_tokens=1000, prompts_at_once=PreferencesConfig.safety // small.processes
        ),
        reward=reward,
        rejection_sampling=RejectionSamplingConfig(
            max_new_tokens=1000,
            prompts_at_once=RejectionSamplingConfig.prompts // small.processes,
            refit=sft,
        ),
        ppo=PPOConfig(
            max_new_tokens=1000,
            beta=0.01 if name in ("7b", "13b") else 0.005,
            accumulation=PPOConfig.mini_batch_size // small.data_parallel,
            parallel=small,
        ),
        general_reward=GeneralRewardConfig(
            max_new_tokens=1000, training=replace(reward, margin="none")
        ),
        versions=VersionsConfig(replies=replace(VersionsConfig().replies, max_new_tokens=1000)),
        ghost_attention=GhostAttentionConfig(
            combined_share=0.5,
            history_turns=20,
            answers=1,
            max_new_tokens=200,
            dialogues_at_once=GhostAttentionConfig.dialogues // small.processes,
            sequence_length=4096,
            tuning=sft,
        ),
        safety=safety,
        red_team=RedTeamConfig(attackers=350, max_new_tokens=1000, feedback=safety),
        prose=ProseConfig(),
        stages=(),
    )


RUNS: dict[str, RunPreset] = {
    preset.name: preset
    for preset in (
        _ci(),
        _LAPTOP,
        _colab(),
        _english(),
        _paper("7b", lr=3e-4, gpus=256, tensor_parallel=1),
        _paper("13b", lr=3e-4, gpus=512, tensor_parallel=2),
        _paper("34b", lr=1.5e-4, gpus=1024, tensor_parallel=8),
        _paper("70b", lr=1.5e-4, gpus=1024, tensor_parallel=8),
    )
}


def get_preset(name: str) -> RunPreset:
    """The run preset of that name; ValueError that lists the names otherwise."""
    if not isinstance(name, str) or name not in RUNS:  # a file of settings may hold anything
        raise ValueError(f"unknown preset {name!r}; choose among {', '.join(RUNS)}")
    return RUNS[name]
