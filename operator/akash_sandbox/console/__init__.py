"""The Console API over HTTPS, in the shapes of its published contract."""
