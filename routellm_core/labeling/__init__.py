"""From logs without labels to battles and outcomes: answers, verdicts, agreement."""
