"""Sessions: what is open in a viewer, saved, restored and kept safe."""
