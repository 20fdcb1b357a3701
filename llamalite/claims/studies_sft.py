"""Claims about sft."""
