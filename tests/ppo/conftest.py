"""A tiny policy with its tokenizer and prompts; annotated shapes of the stage are checked."""

from jaxtyping import install_import_hook

CHECKED = ("advantages", "loss", "module", "rollout")
install_import_hook([f"llamalite.ppo.{name}" for name in CHECKED], "beartype.beartype")

import pytest  # noqa: E402
from tiny import make_policy, make_prompts, make_tokenizer  # noqa: E402


@pytest.fixture(scope="session")
def tokenizer():
    return make_tokenizer()


@pytest.fixture
def policy(tokenizer):
    return make_policy(tokenizer)


@pytest.fixture(scope="session")
def prompts():
    return make_prompts(40)
