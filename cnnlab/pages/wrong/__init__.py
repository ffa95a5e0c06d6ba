"""The parts of the page Mistakes.

exam        what a network said about the test pictures
words       what the figures say, in sentences
drawing     the charts: what was taken for what, class by class, how sure and how right
gallery     the pictures of a selection, each a link to Look inside
"""
