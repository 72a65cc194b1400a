"""The merge: overlay rules applied to tar entries. Pure; the caller opens the layers."""
