"""Who may, and how much: keys, tickets, scopes, origins, limits, and answers that are given again.

A leaf: it knows ASGI, problems and SQLite, and nothing of books.
"""
