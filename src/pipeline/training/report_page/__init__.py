"""The page that a training leaves for people: values in Python, words and pictures in its templates."""
