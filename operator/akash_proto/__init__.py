"""The messages of the Akash chain: protobuf on the wire, JSON as its REST interface writes it.

``schema`` holds the part of the chain's ``.proto`` files that a tenant and a test provider need, and
the code that ``make generate`` makes from it. Field numbers and names are the chain's (node 2.1).
"""
