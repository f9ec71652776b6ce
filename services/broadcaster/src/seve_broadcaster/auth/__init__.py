"""Who may connect and see what: JWT, grants, Origin and Host."""
