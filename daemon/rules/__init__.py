"""Text to RuleSet: YAML with places, schema, CEL, templates, and every problem at once. Pure: it is given text.

document → schema → compile → ruleset; expression and template are each the only user of their library.
"""
