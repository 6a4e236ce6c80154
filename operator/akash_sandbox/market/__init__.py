"""The market's rules as pure code: time comes in as an argument, nothing is read or written."""
