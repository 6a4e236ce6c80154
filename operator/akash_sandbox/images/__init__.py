"""Images: fetched from OCI registries by digest, verified, unpacked into root file systems."""
