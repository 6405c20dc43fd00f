"""A live feed: connections that come and go, and books that are exact or say that they are not."""
