"""The one exception that is meant for the user's eyes."""


class UserError(ValueError):
    """Bad input: says what was wrong, where, and what to type instead.

    Command lines print the message alone and exit with status 2; harness adapters let it
    travel as an ordinary `ValueError`.
    """
