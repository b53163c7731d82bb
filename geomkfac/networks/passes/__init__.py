"""One pass of a chunk of data through a network: stages, what each layer saw, and the way back."""
