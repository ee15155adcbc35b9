"""Forms and plots of the training widget."""
