"""The exceptions that say whose fault it was."""


class UserError(ValueError):
    """Bad input: says what was wrong, where, and what to type instead.

    Command lines print the message alone and exit with status 2; harness adapters let it
    travel as an ordinary `ValueError`.
    """


class SampleFailed(RuntimeError):
    """An engine can't answer this question, and can answer others: the tries are used up, or the
    request was refused. Says what came last, and from where.

    Anything else that an engine raises is its own failure, or a UserError that would meet every
    question: the run stops.

    tries: how often the request was sent.
    """

    def __init__(self, said: str, tries: int = 1) -> None:
        super().__init__(said)
        self.tries = tries
