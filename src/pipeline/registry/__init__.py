"""The record of training runs, and which bundle is the champion."""
