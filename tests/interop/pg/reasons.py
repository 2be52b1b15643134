"""Why a driver's own test fails over Moat, and is not Moat's mistake."""

REASONS = []


def of(suite, name, text):
    return None
