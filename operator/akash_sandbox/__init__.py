"""A local stand-in for the Akash market: Console API, provider gateways, containers that run."""
