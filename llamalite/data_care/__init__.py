"""Care for pretraining data: reading, cleaning, mixing, and real English. Llama 2, section 2.1."""
