"""Ghost Attention: instructions that hold through a dialogue. Llama 2, section 3.3."""
