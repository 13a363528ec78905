"""The sandbox: a rail whose outcome is decided by the telephone number."""

from kpay.connectors.sandbox.connector import SandboxConnector

__all__ = ["SandboxConnector"]
