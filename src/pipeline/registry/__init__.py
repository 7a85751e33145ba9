"""The record of runs, and who is champion."""
