"""Training that is asked for in a viewer, in a process of its own."""
