"""What runs on a machine that was started from the image: its boot agent and its companions."""
