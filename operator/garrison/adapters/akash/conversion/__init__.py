"""From an existing SDL to InferenceWorkloads: what has no counterpart is said, never dropped."""

from garrison.adapters.akash.conversion.documents import convert, convert_text, texts_of
from garrison.adapters.akash.conversion.manifest import sdl_of_manifest
from garrison.adapters.akash.conversion.notes import Converted

__all__ = ["Converted", "convert", "convert_text", "sdl_of_manifest", "texts_of"]
