"""A reward model apart from the loop, only to score by. Llama 2, section 3.4.1."""
