"""Countries, currencies, providers and test numbers: data files, and how to look things up."""
