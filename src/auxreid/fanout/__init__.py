"""The study on a Ray cluster: one task per ablation and seed, each in its own clone, joined by DVC's remote."""
