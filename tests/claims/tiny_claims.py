"""Claims measured on one seed at a tiny budget: tiny_claims.py IDS RESULTS RUNS."""

import sys

from llamalite import presets
from llamalite.claims import budgets, run_claims
from llamalite.claims.study import with_settings

TOKENS = 20 * presets.RUNS["ci"].pretrain.step_tokens

# also in the worker processes, which import this file
budgets.PRETRAINING_TOKENS["ci"] = TOKENS
budgets.FEW_EXAMPLES["ci"] = 12
budgets.PROMPTS_PER_KIND["ci"] = 2
budgets.LONG_BAGS["ci"] = (10, 4)
budgets.SAFETY_PROMPTS["ci"] = (21, 5)
budgets.GHOST_DIALOGUES["ci"] = 5
budgets.AUDITED_DOCUMENTS["ci"] = 300
budgets.PARALLEL_SENTENCES["ci"] = 40
budgets.PLANT_COPIES["ci"] = 1

if __name__ == "__main__":
    presets.RUNS["ci"] = with_settings(
        presets.RUNS["ci"],
        tokenizer={"sample_documents": 1500},
        pretrain={"tokens": TOKENS},
        sft={"examples": 45},
        preferences={"helpfulness": 30, "safety": 30, "max_new_tokens": 12},
        rejection_sampling={"prompts": 24, "candidates": 2, "max_new_tokens": 48},
        ppo={"iterations": 2, "max_new_tokens": 12},
        versions={
            "replies": {
                "prompts_per_kind": 2,
                "adversarial_prompts": 4,
                "borderline_prompts": 2,
                "max_new_tokens": 12,
            }
        },
        evaluate={"adversarial_prompts": 21, "borderline_prompts": 5, "max_new_tokens": 12},
        ghost_attention={
            "dialogues": 6,
            "turns": 4,
            "plain_share": 0.8,
            "max_new_tokens": 12,
            "measured_turns": 21,
            "measured_dialogues": 3,
            "sequence_length": 1024,
            "tuning": {"held_out": 0, "sequence_length": 1024},
        },
        safety={"prompts": 12, "max_new_tokens": 48},
    )
    run_claims(sys.argv[1], [1], "ci", sys.argv[2], sys.argv[3])
