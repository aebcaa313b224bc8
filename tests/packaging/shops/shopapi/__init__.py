"""The application, installed like any library."""
