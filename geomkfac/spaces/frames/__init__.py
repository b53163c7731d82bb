"""Frames, the changes between them, and the gauge in which none may show."""
