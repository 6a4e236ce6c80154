"""Names and addresses of the network, screened."""
