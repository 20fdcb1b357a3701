"""Supervised fine-tuning on demonstrations. Llama 2, section 3.1."""
