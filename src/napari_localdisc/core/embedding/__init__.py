"""An image's embedding: made once, then asked for clusters, similarity and masks."""
