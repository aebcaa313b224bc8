"""An application for partners, mounted in the shop."""
