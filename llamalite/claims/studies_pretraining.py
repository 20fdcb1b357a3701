"""Claims about pretraining."""
