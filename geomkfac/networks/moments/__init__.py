"""What is summed of the passes: second moments of activations and of derivatives, and their metrics."""
