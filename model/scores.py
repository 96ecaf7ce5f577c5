"""BLEU and chrF by sacrebleu, with the signatures that make them comparable.

Source: Post 2018, "A Call for Clarity in Reporting BLEU Scores"; Popovic 2015 (chrF).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one test set in one direction, 0 to 100."""

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str

    def __str__(self) -> str:
        return f"BLEU {self.bleu:.2f}  chrF {self.chrf:.2f}"


def score(
    hypotheses: Sequence[str], references: Sequence[str], *, lowercase: bool = False
) -> Scores:
    """Compare translations with one reference each, in order; case may be left out of it."""
    bleu, chrf = BLEU(lowercase=lowercase), CHRF(lowercase=lowercase)
    return Scores(
        bleu=bleu.corpus_score(hypotheses, [references]).score,
        chrf=chrf.corpus_score(hypotheses, [references]).score,
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
    )
