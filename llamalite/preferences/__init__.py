"""Preference collection: pairs of replies, and what people say of them. Llama 2, section 3.2.1."""
