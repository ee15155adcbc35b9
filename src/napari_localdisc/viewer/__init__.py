"""State and operations of one viewer, without Qt."""
