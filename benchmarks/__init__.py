"""What we cost, measured with and without us in turns."""
