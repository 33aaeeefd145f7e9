"""Fine-tunes on two public benchmarks, beside published figures; see README.md here."""
