"""The whole engine on ports in memory, under virtual time: one seed is one schedule of faults."""
