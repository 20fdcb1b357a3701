"""Text in and out of the model: tokenizer, chat format, packing. Llama 2, sections 2.2 and 3.1."""
