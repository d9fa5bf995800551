"""Find what makes a response better, in words: criteria are measured or judged, verified, selected and weighted.

`curate.data.rubric` has the types; judges read them there too.
"""
