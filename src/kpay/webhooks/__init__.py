"""Webhooks: merchants are told what happened, at least once, each endpoint at its own pace."""
