"""People: who signs in, what each may do in which company, and how that is proved."""
