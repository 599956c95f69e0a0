"""Verifiers: process reward models that score the steps of many chains in a batch."""

from s1_eval.verifiers.protocol import Scored, Verifier, VerifierInfo

__all__ = ["Scored", "Verifier", "VerifierInfo"]
