"""Several finished models that answer together: what they say, what each weighs, and the card that says so."""
