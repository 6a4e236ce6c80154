"""The operator's process, trading on the chain with a wallet."""
