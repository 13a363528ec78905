"""Who may use the program: companies, applications, key pairs, tokens."""
