"""Where rotated credentials come from, and where their values are kept."""
