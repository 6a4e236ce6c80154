"""The chain's REST interface (grpc-gateway), in the shapes of a recorded node."""
