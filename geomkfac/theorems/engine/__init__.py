"""How a statement is run: worlds, trials, exact and numeric evidence, and the report on it."""
