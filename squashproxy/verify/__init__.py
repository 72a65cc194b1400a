"""Two images unpacked in memory and compared: the witness of a squash, sharing none of its code."""
