"""Pretraining the base model on a weighted mixture of sources. Llama 2, section 2."""
