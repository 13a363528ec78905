"""PostgreSQL: the embedded server, migrations, the pool, and SQL kept in files."""
