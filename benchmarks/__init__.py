"""One file a claim; ``python -m benchmarks`` runs them and prints their tables."""
