"""The sentinel inside rented containers: its certificates, its injection, and its control channel."""
