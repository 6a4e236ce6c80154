"""What every implementation of a port does alike."""
