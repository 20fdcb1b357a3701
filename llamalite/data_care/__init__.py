"""Text that people wrote, and care for it. Llama 2, sections 2.1 and 4.1."""
