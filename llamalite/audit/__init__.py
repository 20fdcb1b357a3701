"""What a corpus says of whom, how rude it is, and in which languages. Llama 2, section 4.1."""
