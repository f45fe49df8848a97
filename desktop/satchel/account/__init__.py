"""Who I am: Cognito sign-in by SRP, refresh, the OS keyring."""

from .session import PASSWORD_FILE, Session, SignedIn
from .vault import Vault

__all__ = ["PASSWORD_FILE", "Session", "SignedIn", "Vault"]
