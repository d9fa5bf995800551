"""Statistics that several stages share: guarantees, intervals, accuracy, agreement and reliability of annotators."""
