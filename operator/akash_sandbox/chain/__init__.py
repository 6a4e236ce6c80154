"""The Akash chain's REST interface over the market's book (node 2.1), with verified transactions."""
