"""Benchmarks through EleutherAI's lm-evaluation-harness (lm-eval). Llama 2, section 2.3, table 3.

`llamalite benchmark` scores checkpoints side by side; `python -m llamalite.harness` is lm-eval's
own command line with our model in it. Needs the extra `eval`.
"""
