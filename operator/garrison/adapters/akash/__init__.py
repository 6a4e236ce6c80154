"""The Akash market through the Console API, and the providers' gateways."""
