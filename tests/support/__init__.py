"""What tests of the running server share: the server itself, and clients small enough to trust.

Modules: server (start, stop, kill), rest, mqtt, coap, ws (raw clients), wait (deadlines). Standard
library only; tests/ must be on the module path.
"""
