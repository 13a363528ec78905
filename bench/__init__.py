"""The benchmark: how many durable operations a second, as ratios to pgbench on the same server.

Figures of one machine drift by a third from minute to minute; ratios taken in pairs do not. So
each round runs `pgbench` with a minimal posting function, one transaction each, and then as long of
HTTP requests against our own server, on the same PostgreSQL with the same settings.
"""
