"""The merge: overlay rules over tar entries. Pure: layers are opened by whoever calls."""
