"""Labels → numbers: a tidy table of what a mask shows, without a model."""
