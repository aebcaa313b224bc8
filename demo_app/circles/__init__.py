"""Reading circles: what an audit finds before anybody calls."""
