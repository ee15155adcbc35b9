"""Any picture → RGB, its field of view, the working grid and the network's input."""
