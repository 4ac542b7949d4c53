"""A long load at most of what a fleet can bear, while things go wrong: does anything grow or stay behind?"""
