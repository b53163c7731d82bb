"""The ledger: every statement of the four papers, one file for each of their sections."""
