"""Llama 2, section 2.2: the decoder, its cache, sampling from it, and its files.

Empty on purpose: `llamalite.model.config` can be read where torch is not installed.
"""
