"""Authentication and authorisation: JWT, grants, Origin and Host."""
