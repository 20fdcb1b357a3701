"""Red teaming. Llama 2, section 4.3."""
