"""What the architecture's choices buy: ablations of pretraining. Llama 2, appendix A.2.1."""
