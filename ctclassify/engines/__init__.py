"""Inference engines: each turns padded token ids into probabilities."""
