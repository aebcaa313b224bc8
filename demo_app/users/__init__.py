"""Staff accounts, login and the guards of protected routes."""
