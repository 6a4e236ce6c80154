"""The sentinel: run by every Python that is here, from its zipapp."""
