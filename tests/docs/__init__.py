"""The documents are true: what they tell to run, read and write exists."""
