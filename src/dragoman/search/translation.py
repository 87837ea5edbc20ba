"""The results of search as text: translations of lines, and scores of given targets."""

from dataclasses import dataclass

from dragoman.search.hypotheses import Hypothesis
from dragoman.search.request import Wanted


@dataclass(frozen=True, slots=True)
class Translation:
    """The translation of one line.

    A line too long for the model is translated in pieces; then there is one hypothesis, with the
    pieces' tokens one after another.
    """

    source: str
    text: str
    """The best output; empty for an empty line."""
    hypotheses: tuple[Hypothesis, ...]
    """Best first; none for an empty line."""
    texts: tuple[str, ...]
    """The text of each hypothesis; all are different."""
    source_tokens: tuple[str, ...] = ()
    target_tokens: tuple[str, ...] = ()
    """Tokens of the best output."""
    unmet: tuple[Wanted, ...] = ()
    """What must be in the best output and is not."""
    read: str = ""
    """What the model read of the source: all but the parts that it keeps."""
    remembered: bool = False
    """Whether a memory gave it; then its hypotheses have no tokens, and the probability 1."""

    @property
    def score(self) -> float:
        """The best hypothesis' score, by which search ranks; 0 for an empty line."""
        return self.hypotheses[0].score if self.hypotheses else 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """The log-probability of a given target."""

    source: str
    target: str
    hypothesis: Hypothesis
    tokens: tuple[str, ...]
    """The tokens of the hypothesis' steps: the target's, then the end token."""
