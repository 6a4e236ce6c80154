"""The contract of ports.sentinel: in memory, and against real sentinel processes."""
