"""What is summed of the passes: second moments of activations and derivatives, and the metrics made of them."""
