"""What users see: each output reads the store or is told by the pipeline."""
