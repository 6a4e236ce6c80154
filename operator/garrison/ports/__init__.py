"""What Garrison needs from the outside: small Protocols and the values they exchange."""
