"""The loop: rounds V1 to V5 of preferences, reward models, rejection sampling and PPO (3.2.3)."""
