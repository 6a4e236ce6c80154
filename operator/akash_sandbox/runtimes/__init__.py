"""Ways to run a container on this machine, from the tightest to the loosest."""
