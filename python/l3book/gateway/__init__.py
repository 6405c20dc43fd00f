"""A live feed from recorded DBN files: Databento's live protocol as the server, or bare DBN over TCP."""
