"""Campaigns of the shop: their channels, vouchers and clicks."""
