"""From an existing SDL to InferenceWorkloads: what has no counterpart is said, never dropped."""

from garrison.adapters.akash.conversion.documents import convert, convert_text

__all__ = ["convert", "convert_text"]
