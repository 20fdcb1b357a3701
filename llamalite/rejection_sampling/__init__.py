"""Rejection sampling fine-tuning. Llama 2, section 3.2.3."""
