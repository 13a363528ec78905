"""The small words everything else uses. Nothing here does any I/O."""
