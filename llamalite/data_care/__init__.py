"""Text that people wrote: the corpora behind `packaged:`. Llama 2, section 2.1."""
