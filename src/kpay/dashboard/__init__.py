"""The dashboard: pages where people see and move what the API sees and moves, by the same flows."""

PREFIX = "/dashboard"
