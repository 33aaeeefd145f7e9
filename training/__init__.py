"""Training and evaluation of ctclassify models: scripts, and the modules that they share."""
