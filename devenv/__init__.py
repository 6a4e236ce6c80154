"""What the demo and the tests need around Garrison: real parts, built once and cached."""
