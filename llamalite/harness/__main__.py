"""lm-eval's own command line, with llamalite's model in it.

python -m llamalite.harness run --model llamalite --model_args path=runs/laptop-seed0/pretrain \
    --include_path runs/benchmark/tasks --tasks world
"""

from __future__ import annotations

from llamalite.harness.config import require_lm_eval
from llamalite.user_errors import explain, fail


def main() -> None:
    """Register the model, then do as `lm-eval` does; user errors end with 2."""
    try:
        require_lm_eval()
        import lm_eval.__main__

        import llamalite.harness.lm  # noqa: F401 - registers the model

        lm_eval.__main__.cli_evaluate()
    except ValueError as error:
        fail(explain(error))


if __name__ == "__main__":
    main()
