"""What tells people, one file a kind of target. It knows no cluster and no rule, only an incident's snapshot."""
