"""Linear algebra of array libraries: factorisations, solves and Gram matrices, a file for each library."""
