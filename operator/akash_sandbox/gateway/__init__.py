"""The providers' gateways, each over HTTPS on its own port."""
