"""How a verdict comes about: discrepancies of twins, round-off, other networks and draws, exact arithmetic, hints."""
