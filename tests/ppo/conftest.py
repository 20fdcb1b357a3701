"""A tiny chat model with its tokenizer; annotated shapes of the stage are checked at run time."""

from jaxtyping import install_import_hook

install_import_hook("llamalite.ppo", "beartype.beartype")
