"""Self custody: keys, addresses, signatures and the tokens made with them."""
