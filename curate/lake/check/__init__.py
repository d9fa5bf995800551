"""`curate check`: whether everything that the lake has ever taken in is still there, unchanged and consistent."""
