"""Leases' containers on this machine: started, restarted, forwarded to, slowed and removed."""
