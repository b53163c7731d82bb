"""Output families: a metric, a loss, a sampler and means of targets, on frames of the outputs."""
