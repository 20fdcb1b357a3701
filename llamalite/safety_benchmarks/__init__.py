"""Truthfulness, toxicity and bias of any model. Llama 2, sections 4.1 and 4.4, appendix A.4.7."""
