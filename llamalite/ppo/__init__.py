"""PPO against reward models. Llama 2, section 3.2.3, eq. 3 and 4."""
