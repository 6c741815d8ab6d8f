"""What is seen of a running bridge: metrics, health, the admin server, the page, and the log.

The delivery thread publishes a snapshot, and this room shows it. `service`, `demo` and commands import it. Begin with
`snapshot.py`.
"""
