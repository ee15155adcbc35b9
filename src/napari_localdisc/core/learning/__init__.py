"""What is learned from a hand: strokes to a classifier, prompts to a concept."""
