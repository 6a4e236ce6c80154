"""The Akash chain over the REST interface of its nodes: reads, transactions, the market."""
