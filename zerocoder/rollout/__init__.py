"""Rollouts: prompts -> completions, by one engine a file behind the interface of `engine`."""
