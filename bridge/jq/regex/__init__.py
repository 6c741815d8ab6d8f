"""Regular expressions: libjq's patterns (Oniguruma) said in RE2, and texts matched with them."""
