"""Lets a process tree reach what its egress policy allows, and nothing else; needs no privilege."""
