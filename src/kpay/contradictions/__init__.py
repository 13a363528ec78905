"""What a rail tells of an operation against what is settled, held for a person to decide."""
