"""Approvals: what moves money at the dashboard and needs a second person, asked for and decided."""
