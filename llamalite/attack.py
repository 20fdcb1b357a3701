"""People as the red team: a page on which they attack any stage's model. Llama 2, section 4.3."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llamalite.model.config import SamplingConfig


@dataclass(frozen=True)
class AttackConfig:
    """The page on which people attack a model, and the way of what they found into the campaign.

    Each attempt is kept with the time that was worked on it, so that violations per person and hour
    (gamma) are from real time. Then: llamalite attack --export people.jsonl, and
    llamalite red_team --red_team.transcripts people.jsonl.
    """

    stage: str = "safety"
    """Whose model is attacked: sft, rejection_sampling_1 ... ppo_5, safety, red_team."""
    preset: str = "laptop"
    """Preset of the run that has it."""
    seed: int = 0
    """Seed of that run."""
    out: str = "runs"
    """Folder of run folders."""
    model: str = ""
    """A model folder, or a fetched model as smollm2, instead of a stage's."""
    candidate: str = ""
    """What the records call the model; unless told as in reports: SFT, V1 ... V5, safety."""
    temperature: float = 0.7
    """Temperature of its replies."""
    top_p: float = 0.95
    """Probability mass of the nucleus that they are drawn from."""
    max_new_tokens: int = 96
    """Most tokens of a reply, its end included."""
    store: str = "attacks.db"
    """Where attempts are kept: an SQLite file, or the URL of a database
    (postgresql+psycopg://user@host/name)."""
    attackers: tuple[str, ...] = ()
    """The only codes let in, as [ann,bo]; all when there are none."""
    port: int = 8867
    """Port of the page."""
    ip: str = "127.0.0.1"
    """Address to listen on. Nothing is encrypted: for other machines put a proxy before it."""
    token: str = ""
    """What opens the page; a new one unless given."""
    export: str = ""
    """Write all attempts so far to this .jsonl file, and serve nothing; then
    llamalite red_team --red_team.transcripts FILE takes them into the campaign."""

    def __post_init__(self) -> None:
        SamplingConfig(self.max_new_tokens, self.temperature, self.top_p)  # checks them itself


def attack(config: AttackConfig) -> None:
    """What `llamalite attack` does: write what was kept, or serve the page."""
    from llamalite.real_models.folder import model_folder, open_model
    from llamalite.red_teaming.live import live_model
    from llamalite.red_teaming.page import export, ready, serve

    if config.export:
        print(export(config.store, config.export))
        return
    folder = model_folder(
        config.model or None, config.stage, config.preset, config.seed, config.out
    )
    ready(config.store, config.ip, config.port, config.token or None)  # before the model is read
    opened = open_model(folder)
    sampling = SamplingConfig(config.max_new_tokens, config.temperature, config.top_p)
    serve(
        config.store,
        live_model(opened.model, opened.tokenizer, sampling, chats=opened.chats),
        config.port,
        config.token or None,
        candidate=config.candidate or called(folder),
        drawn={
            "model": fingerprint(folder),
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_new_tokens": config.max_new_tokens,
        },
        ip=config.ip,
        attackers=config.attackers,
    )


def called(folder: Path) -> str:
    """The name of a stage's model in the report of a campaign; else the folder's name."""
    from llamalite.rlhf.versions import AFTER, VERSIONS

    names = {version.stage: version.name for version in (*VERSIONS, *AFTER)}
    return names.get(folder.name, folder.name)


def fingerprint(folder: Path) -> str:
    """That of an artifact's content; of a folder from elsewhere, its path."""
    from llamalite.artifacts import MANIFEST, Artifact

    return Artifact.open(folder).fingerprint if (folder / MANIFEST).exists() else str(folder)
