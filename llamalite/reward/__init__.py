"""Reward models: from comparisons to scores, and from two scores to one. Llama 2, section 3.2.2."""
