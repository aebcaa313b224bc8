"""Keeps reports within bounds."""

from fastapi_diagnostics.store.limits import Limits
from fastapi_diagnostics.store.opening import StoreUrlError, check_store_url, open_store

__all__ = ["Limits", "StoreUrlError", "check_store_url", "open_store"]
