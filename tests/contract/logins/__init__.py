"""The contract of ports.logins.KeptLogins: in memory, and in Secrets."""
