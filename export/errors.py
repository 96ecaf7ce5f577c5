"""Why an export was refused.

ExportError
    SignatureMismatch   a graph has other ports than its signature
    ShapeMismatch       a graph gives another shape than PyTorch
    ValueMismatch       a graph gives other values, or chooses other tokens, than PyTorch
"""


class ExportError(Exception):
    """The export stops, and no bundle is written."""


class SignatureMismatch(ExportError):
    """A graph's input or output has another name, dtype or axes than the signature says."""


class ShapeMismatch(ExportError):
    """A graph's output has another shape than PyTorch's."""


class ValueMismatch(ExportError):
    """A graph's values are further from PyTorch's than allowed."""
